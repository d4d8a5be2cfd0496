"""Draw a picture sheet of a segmentor or detector with a diffusion backbone.

For some images of the test set: the input, the ground truth, the prediction, those of other models
beside it, and the first three principal components of each block's features as colours.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DATASETS

from mmdiff.datasets import read_rgb
from mmdiff.engine.cli import load_config
from mmdiff.visualization import draw_feature_sheet, pca_rgb


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file that tools/train.py wrote')
    parser.add_argument('out', help='PNG file to write')
    parser.add_argument('--num', type=int, default=6, help='images (default: %(default)s)')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        help='least score of an instance that is drawn (default: %(default)s)',
    )
    parser.add_argument(
        '--beside',
        nargs=3,
        action='append',
        default=[],
        metavar=('TITLE', 'CONFIG', 'CHECKPOINT'),
        help="another model of the same classes, whose predictions follow the model's; as many as "
        'you like',
    )
    return parser.parse_args()


def load_segmentor(cfg, checkpoint, args) -> tuple[torch.nn.Module, Callable]:
    """A segmentor, and what draws its ground truth and its prediction."""
    from mmseg.apis import init_model

    model = init_model(cfg, checkpoint, device=get_device())
    palette = model.dataset_meta['palette']

    def colour(label_map):
        # What is not labelled is black.
        table = np.zeros((256, 3), np.uint8)
        table[: len(palette)] = palette
        return table[label_map[0].cpu().numpy()]

    def draw(image, truth, prediction):
        return colour(truth.gt_sem_seg.data), colour(prediction.pred_sem_seg.data)

    return model, draw


def load_detector(cfg, checkpoint, args) -> tuple[torch.nn.Module, Callable]:
    """A detector, and what draws its ground truth and its prediction."""
    from mmdet.apis import init_detector
    from mmdet.structures import DetDataSample
    from mmdet.visualization import DetLocalVisualizer
    from mmengine.structures import InstanceData

    model = init_detector(cfg, checkpoint, device=get_device())
    visualizer = DetLocalVisualizer(line_width=1, alpha=0.6)
    visualizer.dataset_meta = model.dataset_meta

    def draw_instances(image, instances):
        # Labels on small images are readable when these are drawn larger.
        factor = max(1, round(384 / max(image.shape[:2])))
        sample = DetDataSample(
            gt_instances=InstanceData(
                bboxes=instances.bboxes * factor,
                labels=instances.labels,
                masks=instances.masks.repeat(factor, axis=1).repeat(factor, axis=2),
            )
        )
        enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
        visualizer.add_datasample('', enlarged, sample, draw_pred=False)
        return visualizer.get_image()

    def draw(image, truth, prediction):
        true = truth.gt_instances
        true = InstanceData(
            bboxes=true.bboxes.tensor, labels=true.labels, masks=true.masks.to_ndarray()
        )
        found = prediction.pred_instances.cpu().numpy()
        return (
            draw_instances(image, true),
            draw_instances(image, found[found.scores >= args.score_thr]),
        )

    return model, draw


LOADERS = {'mmseg': load_segmentor, 'mmdet': load_detector}


def load(config, checkpoint, args):
    """A model's config, the model, and what draws."""
    cfg = load_config(config)
    if cfg.default_scope not in LOADERS:
        raise SystemExit(
            f'{config}: default_scope must be one of {", ".join(LOADERS)}, got '
            f'{cfg.default_scope!r}'
        )
    return cfg, *LOADERS[cfg.default_scope](cfg, checkpoint, args)


@torch.no_grad()
def main():
    args = parse_args()
    cfg, model, draw = load(args.config, args.checkpoint, args)
    beside = {title: load(*files, args) for title, *files in args.beside}
    dataset = DATASETS.build(cfg.test_dataloader.dataset)

    rows, features = [], []
    for index in np.linspace(0, len(dataset) - 1, min(args.num, len(dataset))).astype(int):
        sample = dataset[index]
        batch = pseudo_collate([sample])
        (result,) = model.test_step(batch)
        truth = sample['data_samples']
        image = np.asarray(read_rgb(truth.img_path, size=truth.ori_shape[::-1]))
        row = [image, *draw(image, truth, result)]
        for _, other, draw_other in beside.values():
            (result,) = other.test_step(pseudo_collate([dataset[index]]))
            row.append(draw_other(image, truth, result)[1])
        rows.append(row)
        inputs = model.data_preprocessor(batch, False)['inputs']
        maps = model.backbone(inputs)
        # Several timesteps in one picture, as the neck takes them.
        maps = (
            maps if torch.is_tensor(maps[0]) else [torch.cat(b, 1) for b in zip(*maps, strict=True)]
        )
        features.append([feature[0] for feature in maps])
    for maps in zip(*features, strict=True):
        for row, feature in zip(rows, pca_rgb(maps), strict=True):
            row.append(feature)

    backbone = model.backbone
    titles = ['input', 'ground truth', 'prediction', *beside]
    for taps in zip(*backbone.taps, strict=True):
        timesteps = ', '.join(str(t) for t, _ in taps)
        titles.append(f'b={taps[0][1]}, t={timesteps}')
    draw_feature_sheet(args.out, rows, titles)
    print(f'Wrote {args.out}.')


if __name__ == '__main__':
    main()
