"""Classify by nearest neighbours in cached features: no training, top-1 and top-5 accuracy.

Reads what tools/cache_features.py wrote. For each timestep and block, the map is averaged over its
cells (or pooled to --pool x --pool) and flattened. Writes OUT/knn.csv and, of the top-1 accuracy,
OUT/knn.png (paper, table 9).
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mmdiff import stack


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('cache', type=Path, help='folder that tools/cache_features.py wrote')
    parser.add_argument('out', type=Path, help='folder to write')
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

    from mmdiff.classification.cached_maps import PooledMaps, check_pool, grid_of, open_splits
    from mmdiff.classification.knn import knn_scores
    from mmdiff.utils import row_slices
    from mmdiff.visualization import draw_heat_maps

    train, test = open_splits(args.cache, ('train', args.split))
    pool = check_pool(train, args.pool)
    blocks, timesteps = grid_of(train)
    num_classes = int(max(train.labels.max(), test.labels.max())) + 1
    topk = [k for k in (1, 5) if k <= num_classes]
    accuracy = np.zeros((len(args.k), len(blocks), len(timesteps), len(topk)))
    for block, timestep in tqdm(list(np.ndindex(len(blocks), len(timesteps)))):
        features, queries = (PooledMaps(s, timestep, block, pool) for s in (train, test))
        for rows in row_slices(queries.shape, max_rows=4096):
            scores = knn_scores(features, train.labels, queries[rows], args.k, num_classes)
            labels = torch.from_numpy(test.labels[rows])
            for row, k in enumerate(args.k):
                shares = Accuracy.calculate(torch.from_numpy(scores[k]), labels, topk=topk)
                share_of_all = len(labels) / len(test)
                accuracy[row, block, timestep] += [s[0].item() * share_of_all for s in shares]
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / 'knn.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['k', 'block', 'timestep', *(f'top-{n}' for n in topk)])
        for row, block, timestep in np.ndindex(accuracy.shape[:3]):
            values = [f'{value:.2f}' for value in accuracy[row, block, timestep]]
            writer.writerow([args.k[row], blocks[block], timesteps[timestep], *values])
    draw_heat_maps(
        args.out / 'knn.png', accuracy[..., 0], [f'k={k}' for k in args.k], blocks, timesteps
    )
    row, block, timestep = np.unravel_index(accuracy[..., 0].argmax(), accuracy.shape[:3])
    print(
        f'Best: {accuracy[row, block, timestep, 0]:.2f} % at {blocks[block]}, '
        f'{timesteps[timestep]}, k={args.k[row]}. Wrote {args.out}/knn.csv and .png'
    )


if __name__ == '__main__':
    main()
