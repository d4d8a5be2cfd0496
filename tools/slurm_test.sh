#!/usr/bin/env bash
# Test on a Slurm cluster, on one or several nodes.
#
# Usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# Environment variables: as for tools/slurm_run.sh.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '/^# Usage/p' "$0" >&2; exit 2; }
exec bash "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh" test.py "$@"
