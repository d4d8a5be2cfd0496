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
        '--pools', type=int, nargs='+', default=[1, 2, 4], help='sides of the pooled maps'
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
    from mmdiff.classification.cached_maps import check_pool, open_splits, pooled_maps
    from mmdiff.visualization import draw_heat_maps

    train, test = open_splits(args.cache, ('train', args.split))
    for pool in args.pools:
        check_pool(train, pool)
    names = train.settings['maps']
    timesteps = [maps[0].split()[0] for maps in names]
    blocks = [name.split()[-1] for name in names[0]]
    accuracy = np.zeros((len(args.pools), len(blocks), len(timesteps)))
    for pool, block, timestep in tqdm(list(np.ndindex(accuracy.shape))):
        features = [pooled_maps(s, timestep, block, args.pools[pool]) for s in (train, test)]
        accuracy[pool, block, timestep] = linear_probe_accuracy(
            features[0], train.labels, features[1], test.labels
        )
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / 'probe_grid.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['pool', 'block', 'timestep', 'accuracy'])
        for (pool, block, timestep), value in np.ndenumerate(accuracy):
            writer.writerow([args.pools[pool], blocks[block], timesteps[timestep], f'{value:.2f}'])
    draw_heat_maps(
        args.out / 'probe_grid.png',
        accuracy,
        [f'pooled to {p}x{p}' for p in args.pools],
        blocks,
        timesteps,
    )
    best = np.unravel_index(accuracy.argmax(), accuracy.shape)
    print(
        f'Best: {accuracy[best]:.2f} % at {blocks[best[1]]}, {timesteps[best[2]]}, pool '
        f'{args.pools[best[0]]}. Wrote {args.out}/probe_grid.csv and .png'
    )


if __name__ == '__main__':
    main()
