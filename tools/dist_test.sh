#!/usr/bin/env bash
# Test on several GPUs (or CPU processes, where there is no GPU).
# Usage: tools/dist_test.sh CONFIG [CHECKPOINT] GPUS [options of tools/test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
# GPUS in the place of CHECKPOINT.
[[ "${2:-}" =~ ^[0-9]+$ ]] && set -- "$1" '' "${@:2}"
[ $# -ge 3 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
tools=$(dirname "${BASH_SOURCE[0]}")
PYTHONPATH="$tools/..:${PYTHONPATH:-}" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$3" \
    "$tools/test.py" "$1" ${2:+"$2"} --launcher pytorch "${@:4}"
