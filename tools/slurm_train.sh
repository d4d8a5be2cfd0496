#!/usr/bin/env bash
# Train on a Slurm cluster, on one or several nodes.
#
# Usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# Environment variables: GPUS (8), GPUS_PER_NODE (8, or GPUS if fewer), CPUS_PER_TASK (5), and
# SRUN_ARGS for anything else, e.g. "--time=24:00:00".
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh"
run_on_slurm train.py 3 "$@"
