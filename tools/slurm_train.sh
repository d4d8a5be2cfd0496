#!/usr/bin/env bash
# Train on a Slurm cluster, on one or several nodes.
#
# Usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# Environment variables: as for tools/slurm_run.sh.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '/^# Usage/p' "$0" >&2; exit 2; }
exec bash "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh" train.py "$@"
