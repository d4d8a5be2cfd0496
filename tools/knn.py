"""Classify by nearest neighbours in cached features: no training, top-1 and top-5 accuracy.

Reads what tools/cache_features.py wrote. The maps of all its blocks and timesteps are averaged over
their cells (or pooled to --pool x --pool) and concatenated.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mmdiff import stack

# What of a store's settings may differ between what is classified and its neighbours.
OF_A_SPLIT = ('images', 'pipeline')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('cache', type=Path, help='folder that tools/cache_features.py wrote')
    parser.add_argument('--k', type=int, nargs='+', default=[20, 200], help='default: 20 200')
    parser.add_argument(
        '--pool', type=int, default=1, help='side of the pooled maps (default: %(default)s)'
    )
    parser.add_argument(
        '--split',
        choices=['val', 'test'],
        default='test',
        help='what is classified (default: %(default)s)',
    )
    return parser.parse_args()


def pooled(store, pool: int, batch_size: int = 256) -> np.ndarray:
    """Features of a store, pooled, shape (num_images, dims)."""
    from mmdiff.classification.feature_cache import flatten, unflatten

    rows = []
    for start in range(0, len(store), batch_size):
        batch = [store.read(i) for i in range(start, min(start + batch_size, len(store)))]
        features = unflatten(torch.from_numpy(np.stack(batch)).float(), store.shapes)
        maps = [[F.adaptive_avg_pool2d(m, pool) for m in blocks] for blocks in features]
        rows.append(flatten(maps).numpy())
    return np.concatenate(rows)


def main():
    args = parse_args()
    stack.require('mmpretrain')
    from mmpretrain.evaluation import Accuracy

    from mmdiff.classification import FeatureStore
    from mmdiff.classification.feature_store import check_same
    from mmdiff.classification.knn import knn_scores

    stores = {split: FeatureStore(args.cache / split) for split in ('train', args.split)}
    for store in stores.values():
        store.check_complete()
    train, test = stores['train'], stores[args.split]
    found, asked = (
        {'shapes': s.shapes, **{k: v for k, v in s.settings.items() if k not in OF_A_SPLIT}}
        for s in (test, train)
    )
    check_same(test.folder, found, asked)
    smallest = min(min(shape[1:]) for blocks in train.shapes for shape in blocks)
    if not 1 <= args.pool <= smallest:
        raise SystemExit(f'--pool must be from 1 to {smallest}, the smallest map, got {args.pool}')
    num_classes = int(max(train.labels.max(), test.labels.max())) + 1
    scores = knn_scores(
        pooled(train, args.pool), train.labels, pooled(test, args.pool), args.k, num_classes
    )
    topk = [k for k in (1, 5) if k <= num_classes]
    for k in args.k:
        accuracy = Accuracy.calculate(
            torch.from_numpy(scores[k]), torch.from_numpy(test.labels), topk=topk
        )
        text = ', '.join(f'top-{n} {a[0].item():.2f}' for n, a in zip(topk, accuracy, strict=True))
        print(f'k={k}: {text}')


if __name__ == '__main__':
    main()
