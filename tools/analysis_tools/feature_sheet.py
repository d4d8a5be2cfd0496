"""Draw a picture sheet of a segmentor with a diffusion backbone.

For some images of the test set: the input, the ground truth, the prediction,
and the first three principal components of each block's features as colours.
"""

import argparse

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DATASETS
from mmseg.apis import init_model

from mmdiff import stack
from mmdiff.visualization import draw_feature_sheet, pca_rgb


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file that tools/train.py wrote')
    parser.add_argument('out', help='PNG file to write')
    parser.add_argument('--num', type=int, default=6, help='images (default: %(default)s)')
    return parser.parse_args()


def colour(label_map, palette):
    """Colour a map of class indices; what is not labelled is black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    return table[label_map]


@torch.no_grad()
def main():
    args = parse_args()
    stack.require('mmseg')
    cfg = Config.fromfile(args.config)
    model = init_model(cfg, args.checkpoint, device=get_device())
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    palette = dataset.metainfo['palette']

    rows, features = [], []
    for index in np.linspace(0, len(dataset) - 1, min(args.num, len(dataset))).astype(int):
        sample = dataset[index]
        batch = pseudo_collate([sample])
        (result,) = model.test_step(batch)
        rows.append(
            [
                sample['inputs'].permute(1, 2, 0).numpy()[..., ::-1],
                colour(sample['data_samples'].gt_sem_seg.data[0].numpy(), palette),
                colour(result.pred_sem_seg.data[0].cpu().numpy(), palette),
            ]
        )
        inputs = model.data_preprocessor(batch, False)['inputs']
        features.append([feature[0] for feature in model.backbone(inputs)])
    for maps in zip(*features, strict=True):
        for row, image in zip(rows, pca_rgb(maps), strict=True):
            row.append(image)

    backbone = model.backbone
    titles = ['input', 'ground truth', 'prediction']
    titles += [f'b={b}, t={backbone.timestep}' for b in backbone.blocks]
    draw_feature_sheet(args.out, rows, titles)
    print(f'Wrote {args.out}.')


if __name__ == '__main__':
    main()
