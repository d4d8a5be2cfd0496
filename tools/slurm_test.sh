#!/usr/bin/env bash
# Test on a Slurm cluster, on one or several nodes.
#
# Usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# Environment variables: as for tools/slurm_train.sh.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh"
run_on_slurm test.py 4 "$@"
