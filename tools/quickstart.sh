#!/usr/bin/env bash
# From a fresh clone to a segmentor that learned from 20 labelled images, on a CPU, in minutes.
#
# Usage: tools/quickstart.sh [--stack originals]
# Sets up, makes texture mosaics, and does with them what tools/few_labels.py does with a folder of
# one's own images: trains UperNet on a diffusion model, frozen and fine-tuned, and for comparison on
# the same network from random weights, and scores them on 100 images. A run that was killed goes on
# where it was.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/setup_env.sh "$@"
# The warnings of the packages below are for their developers.
export PYTHONWARNINGS=ignore

run() {
    echo "\$ $*" >&2
    "$@"
}

data=data/texture_mosaics
run python tools/dataset_converters/texture_mosaics.py $data
run python tools/few_labels.py $data/images $data/labels work_dirs/quickstart \
    --classes stripes checks dots bricks rings waves blotches grain cracks --held-out 100 \
    --checkpoint mmdiff://adm-64-small_texture-mosaics.pt
echo 'Next, on your own images, without a checkpoint:'
[ -z "${VIRTUAL_ENV:-}" ] || echo "    . $VIRTUAL_ENV/bin/activate"
echo '    python tools/few_labels.py IMAGES LABELS OUT --classes NAME_OF_0 NAME_OF_1 ...'
