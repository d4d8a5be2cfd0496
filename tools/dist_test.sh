#!/usr/bin/env bash
# Test on several GPUs (or CPU processes, where there is no GPU).
# Usage: tools/dist_test.sh CONFIG [CHECKPOINT] GPUS [options of tools/test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
# GPUS in the place of CHECKPOINT.
[[ "${2:-}" =~ ^[0-9]+$ ]] && set -- "$1" '' "${@:2}"
[ $# -ge 3 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
exec bash "$(dirname "${BASH_SOURCE[0]}")/dist_run.sh" test.py "$3" "$1" ${2:+"$2"} "${@:4}"
