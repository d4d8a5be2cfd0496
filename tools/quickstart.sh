#!/usr/bin/env bash
# From a fresh clone to trained and tested models, on a CPU, in minutes.
#
# Usage: tools/quickstart.sh [--stack originals] [CONFIG ...]
# Sets up, makes digit scenes, trains UperNet on the frozen features of a small diffusion U-Net,
# pretrained and, for comparison, at random weights (or what other *_digit-scenes.py configs say),
# tests on digits that it never saw, and draws a picture sheet. A run that was killed goes on where
# it was.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stack=(--stack today)
if [ "${1:-}" = --stack ]; then
    stack=("${@:1:2}")
    shift "${#stack[@]}"
fi
if [ $# = 0 ]; then
    set -- configs/upernet_gd-random_digit-scenes.py configs/upernet_gd_digit-scenes.py
fi
case $* in
    *mask-rcnn*) . tools/setup_env.sh --detection "${stack[@]}" ;;
    *) . tools/setup_env.sh "${stack[@]}" ;;
esac
# The warnings of the packages below are for their developers.
export PYTHONWARNINGS=ignore

run() {
    echo "\$ $*" >&2
    "$@"
}

run python tools/dataset_converters/digit_scenes.py data/digit_scenes
scores=()
for config; do
    name=$(basename "$config" .py)
    work_dir=work_dirs/quickstart/$name
    log=$work_dir/quickstart.log
    mkdir -p "$work_dir"
    # The log goes to a file, and only the progress bar, on stderr, is shown.
    run python tools/train.py "$config" --work-dir "$work_dir" --resume > "$log"
    checkpoint=$(cat "$work_dir/last_checkpoint")
    # From the first line of the table with the IoU of each class, or of COCO's summary.
    run python tools/test.py "$config" "$checkpoint" --work-dir "$work_dir/test" | tee -a "$log" |
        sed -nE '/^\+-|Evaluating bbox/,$p'
    run python tools/analysis_tools/feature_sheet.py "$config" "$checkpoint" "$work_dir/sheet.png" \
        >> "$log"
    # What the config says of itself, and what it reached.
    scores+=("$name: $(sed -n '1s/^# *//p' "$config")"
        "    $(sed -nE 's/.*Iter\(test\) [^ ]+ +(.*) +data_time.*/\1/p' "$log" | tail -1)")
    echo "Pictures: $PWD/$work_dir/sheet.png  checkpoint: $checkpoint  log: $PWD/$log"
done
echo 'On the test scenes, in per cent:'
printf '    %s\n' "${scores[@]}"
