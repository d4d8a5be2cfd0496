# What slurm_train.sh and slurm_test.sh share.
run_on_slurm() {
    local script=$1 at_least=$2 partition job gpus per_node
    shift 2
    if [ $# -lt "$at_least" ]; then
        # The usage is in the comment at the head of the calling script.
        sed -n '/^# Usage/p' "$0" >&2
        exit 2
    fi
    partition=$1 job=$2
    shift 2
    gpus=${GPUS:-8}
    per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    # shellcheck disable=SC2086  SRUN_ARGS are several
    srun --partition="$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" \
        --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        python -u "$(dirname "${BASH_SOURCE[0]}")/$script" "$@" --launcher=slurm
}
