#!/usr/bin/env bash
# Run a tool that has --launcher on several GPUs (or CPU processes, where there is no GPU).
# Usage: tools/dist_run.sh TOOL GPUS [arguments of the tool], e.g. cache_features.py 4 CONFIG OUT
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
tools=$(dirname "${BASH_SOURCE[0]}")
PYTHONPATH="$tools/..:${PYTHONPATH:-}" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$2" \
    "$tools/$1" "${@:3}" --launcher pytorch
