#!/usr/bin/env bash
# Run a tool that has --launcher on a Slurm cluster, on one or several nodes.
#
# Usage: tools/slurm_run.sh TOOL PARTITION JOB_NAME [arguments of the tool]
# Environment variables: GPUS (8), GPUS_PER_NODE (8, or GPUS if fewer), CPUS_PER_TASK (5), and
# SRUN_ARGS for anything else, e.g. "--time=24:00:00".
set -euo pipefail
[ $# -ge 3 ] || { sed -n '/^# Usage/p' "$0" >&2; exit 2; }
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# shellcheck disable=SC2086  SRUN_ARGS are several
exec srun --partition="$2" --job-name="$3" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$(dirname "${BASH_SOURCE[0]}")/$1" "${@:4}" --launcher=slurm
