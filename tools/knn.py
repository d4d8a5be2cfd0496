"""Classify by nearest neighbours in cached features: no training, top-1 and top-5 accuracy.

Reads what tools/cache_features.py wrote. For each timestep and block, the map is averaged over its
cells (or pooled to --pool x --pool) and flattened.
"""

import argparse
from pathlib import Path

import torch

from mmdiff import stack


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


def main():
    args = parse_args()
    stack.require('mmpretrain')
    from mmpretrain.evaluation import Accuracy

    from mmdiff.classification.cached_maps import check_pool, open_splits, pooled_maps
    from mmdiff.classification.knn import knn_scores

    train, test = open_splits(args.cache, ('train', args.split))
    pool = check_pool(train, args.pool)
    num_classes = int(max(train.labels.max(), test.labels.max())) + 1
    topk = [k for k in (1, 5) if k <= num_classes]
    for timestep, blocks in enumerate(train.settings['maps']):
        for block, name in enumerate(blocks):
            features = [pooled_maps(store, timestep, block, pool) for store in (train, test)]
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
