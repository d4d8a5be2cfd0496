"""What a trained FeatureAggregator takes of each timestep and block, as a heat map.

Reads the weights from a checkpoint, and the timesteps and blocks from its config. Of a gate that
varies over the image, it is the running mean over training images.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import MODELS, init_default_scope

from mmdiff.analysis import read_gates
from mmdiff.diffusion import CheckpointError
from mmdiff.engine.cli import load_config
from mmdiff.engine.weights_only import load_run
from mmdiff.models import DiffusionBackbone
from mmdiff.visualization import draw_heat_maps


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a model with a FeatureAggregator as its neck')
    parser.add_argument('checkpoint', help='checkpoint of a run')
    parser.add_argument('out', type=Path, help='PNG file to write')
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = load_config(args.config)
    init_default_scope(cfg.default_scope)
    # What it taps needs no weights.
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model.backbone)
    if not isinstance(backbone, DiffusionBackbone):
        raise SystemExit(f'config: {type(backbone).__name__} is no diffusion backbone')
    try:
        state_dict = load_run(args.checkpoint, map_location='cpu')['state_dict']
        weights, rows, columns = read_gates(state_dict, backbone.taps, args.checkpoint)
    except (CheckpointError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    draw_heat_maps(args.out, [weights], ['weight, %'], rows, columns)
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    largest = f'{columns[column]} {rows[row]}'.strip()
    print(f'Most: {weights[row, column]:.1f} % at {largest}. Wrote {args.out}')


if __name__ == '__main__':
    main()
