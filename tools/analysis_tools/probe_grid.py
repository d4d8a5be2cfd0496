"""Accuracy of a linear probe over blocks, timesteps and pool sizes (paper, figures 3 and 4).

Reads what tools/cache_features.py wrote from a config with several blocks and timesteps. Writes
OUT/probe_grid.csv and OUT/probe_grid.png.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmdiff import stack


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('cache', type=Path, help='folder that tools/cache_features.py wrote')
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument(
        '--pools',
        type=int,
        nargs='+',
        help='sides of the pooled maps (default: those of 1, 2, 4 that the cache has)',
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
    from mmdiff.analysis import linear_probe_accuracy
    from mmdiff.classification.cached_maps import (
        PooledMaps,
        check_pool,
        grid_of,
        open_splits,
        pools_of,
    )
    from mmdiff.visualization import draw_heat_maps

    train, test = open_splits(args.cache, ('train', args.split))
    pools = args.pools or [pool for pool in (1, 2, 4) if pool in pools_of(train)]
    for pool in pools:
        check_pool(train, pool)
    blocks, timesteps = grid_of(train)
    accuracy = np.zeros((len(pools), len(blocks), len(timesteps)))
    for pool, block, timestep in tqdm(list(np.ndindex(accuracy.shape))):
        features = [PooledMaps(s, timestep, block, pools[pool]) for s in (train, test)]
        accuracy[pool, block, timestep] = linear_probe_accuracy(
            features[0], train.labels, features[1], test.labels
        )
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / 'probe_grid.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['pool', 'block', 'timestep', 'accuracy'])
        for (pool, block, timestep), value in np.ndenumerate(accuracy):
            writer.writerow([pools[pool], blocks[block], timesteps[timestep], f'{value:.2f}'])
    draw_heat_maps(
        args.out / 'probe_grid.png',
        accuracy,
        [f'pooled to {p}x{p}' for p in pools],
        blocks,
        timesteps,
    )
    best = np.unravel_index(accuracy.argmax(), accuracy.shape)
    print(
        f'Best: {accuracy[best]:.2f} % at {blocks[best[1]]}, {timesteps[best[2]]}, pool '
        f'{pools[best[0]]}. Wrote {args.out}/probe_grid.csv and .png'
    )


if __name__ == '__main__':
    main()
