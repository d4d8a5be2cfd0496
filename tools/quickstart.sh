#!/usr/bin/env bash
# From a fresh clone to a trained and tested model, on a CPU, in minutes.
#
# Usage: tools/quickstart.sh [CONFIG]
# Sets up, makes digit scenes, trains UperNet (or what another *_digit-scenes.py config says) on a
# small diffusion U-Net, tests it on digits that it never saw, and draws a picture sheet. A run that
# was killed goes on where it was.
set -euo pipefail
config=${1:-configs/upernet_gd_digit-scenes.py}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case $config in
    *mask-rcnn*) . tools/setup_env.sh --detection ;;
    *) . tools/setup_env.sh '' ;;
esac

work_dir=work_dirs/$(basename "$config" .py)
log=$work_dir/quickstart.log
mkdir -p "$work_dir"
: > "$log"
# The warnings of the packages below are for their developers.
export PYTHONWARNINGS=ignore

run() {
    echo "\$ $*" >&2
    "$@"
}

run python tools/dataset_converters/digit_scenes.py data/digit_scenes
echo "The diffusion U-Net starts from random weights: no small pretrained one exists yet."
# The log goes to a file, and only the progress bar, on stderr, is shown.
run python tools/train.py "$config" --resume >> "$log"
checkpoint=$(cat "$work_dir/last_checkpoint")
# From the first line of the table with the IoU of each class, or of COCO's summary.
run python tools/test.py "$config" "$checkpoint" | tee -a "$log" |
    sed -nE '/^\+-|Evaluating bbox/,$p'
run python tools/analysis_tools/feature_sheet.py "$config" "$checkpoint" "$work_dir/sheet.png" \
    >> "$log"
echo "Done. Pictures: $PWD/$work_dir/sheet.png  checkpoint: $checkpoint  log: $PWD/$log"
