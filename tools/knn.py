"""Classify by nearest neighbours in cached features: no training, top-1 and top-5 accuracy.

Reads what tools/cache_features.py wrote. For each timestep and block, the map is averaged over its
cells (or pooled to --pool x --pool) and flattened.
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
        '--pool', type=int, help="side of the pooled maps (default: the cache's, or 1)"
    )
    parser.add_argument(
        '--split',
        choices=['val', 'test'],
        default='test',
        help='what is classified (default: %(default)s)',
    )
    return parser.parse_args()


def pooled(store, timestep: int, block: int, pool: int, batch_size: int = 256) -> np.ndarray:
    """Features of a store's timestep and block, by index, pooled, shape (num_images, dims)."""
    rows = []
    for start in range(0, len(store), batch_size):
        maps = store.read_maps(start, start + batch_size, timestep, block)
        rows.append(F.adaptive_avg_pool2d(torch.from_numpy(maps).float(), pool).flatten(1))
    return torch.cat(rows).numpy()


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
    # Pooling what was pooled would give other features than pooling the maps.
    stored = train.settings['pool']
    pool = args.pool or stored or 1
    smallest = min(min(shape[1:]) for blocks in train.shapes for shape in blocks)
    if stored and pool != stored:
        raise SystemExit(f'--pool must be {stored}, as the cache has it, got {pool}')
    if not 1 <= pool <= smallest:
        raise SystemExit(f'--pool must be from 1 to {smallest}, the smallest map, got {pool}')
    num_classes = int(max(train.labels.max(), test.labels.max())) + 1
    topk = [k for k in (1, 5) if k <= num_classes]
    for timestep, blocks in enumerate(train.settings['maps']):
        for block, name in enumerate(blocks):
            features = [pooled(store, timestep, block, pool) for store in (train, test)]
            scores = knn_scores(features[0], train.labels, features[1], args.k, num_classes)
            for k in args.k:
                accuracy = Accuracy.calculate(
                    torch.from_numpy(scores[k]), torch.from_numpy(test.labels), topk=topk
                )
                shares = zip(topk, accuracy, strict=True)
                text = ', '.join(f'top-{n} {share[0].item():.2f}' for n, share in shares)
                print(f'{name} k={k}: {text}', flush=True)


if __name__ == '__main__':
    main()
