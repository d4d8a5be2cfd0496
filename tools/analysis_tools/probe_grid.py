"""Accuracy of a linear probe over blocks, timesteps and pool sizes (paper, figures 3 and 4).

Reads what tools/cache_features.py wrote from a config with several blocks and timesteps, and
caches of other backbones to set beside it, such as one on noised images. Writes to OUT
probe_grid.csv; probe_grid.png, a table for each pool size; and probe_curves.png, over timesteps,
blocks and pool sizes, the other two as where the accuracy is best.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

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
        '--beside',
        type=Path,
        nargs='+',
        default=[],
        metavar='CACHE',
        help='caches of other backbones, whose curves over timesteps are drawn too, at those of '
        'the pool sizes that they have',
    )
    parser.add_argument(
        '--probe',
        choices=['logistic', 'trained'],
        default='logistic',
        help='a logistic regression on standardised features, or a linear layer that is trained '
        "as the paper's, on mirror images too where the cache has them (default: %(default)s)",
    )
    parser.add_argument('--epochs', type=int, help='of the trained layer (default: 28)')
    parser.add_argument('--lr', type=float, help='of the trained layer (default: 1e-3)')
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
    args = parser.parse_args()
    args.settings = {
        name: getattr(args, name) for name in ('epochs', 'lr') if getattr(args, name) is not None
    }
    if args.settings and args.probe == 'logistic':
        parser.error(f'--{next(iter(args.settings))} is of --probe trained')
    for name, value in args.settings.items():
        if value <= 0:
            parser.error(f'--{name} must be more than 0, got {value}')
    return args


class Grid(NamedTuple):
    """Accuracies of shape (pools, blocks, timesteps), and the names on the axes."""

    accuracy: np.ndarray
    pools: list[int]
    blocks: list[str]
    timesteps: list[str]

    def best(self) -> tuple[int, int, int]:
        return np.unravel_index(self.accuracy.argmax(), self.accuracy.shape)


def check_same_images(caches: list[Path], split: str) -> None:
    """Stop where caches are not of the same test images."""
    from mmdiff.classification.cached_maps import open_splits

    images = [open_splits(cache, (split,))[0].settings['images'] for cache in caches]
    for cache, of_cache in zip(caches, images, strict=True):
        if of_cache != images[0]:
            raise SystemExit(f'--beside: {cache} is of other images than {caches[0]}')


def probe_cache(cache: Path, args) -> Grid:
    """The accuracies of a cache."""
    from mmdiff.classification.cached_maps import check_pool, grid_of, open_splits, pools_of

    train, test = open_splits(cache, ('train', args.split))
    pools = [pool for pool in args.pools or (1, 2, 4) if pool in pools_of(train)]
    if cache == args.cache:
        for pool in args.pools or ():
            check_pool(train, pool)
    elif not pools:
        raise SystemExit(f'--beside: {cache} has none of the pool sizes {args.pools}')
    blocks, timesteps = grid_of(train)
    accuracy = np.zeros((len(pools), len(blocks), len(timesteps)))
    for pool, block, timestep in tqdm(list(np.ndindex(accuracy.shape)), desc=str(cache)):
        maps = timestep, block, pools[pool]
        accuracy[pool, block, timestep] = probe(train, test, maps, args)
    return Grid(accuracy, pools, blocks, timesteps)


def probe(train, test, maps: tuple[int, int, int], args) -> float:
    """The accuracy on the maps of a timestep and block, by index, at a pool size."""
    from mmdiff.analysis import linear_probe_accuracy, trained_probe_accuracy
    from mmdiff.classification.cached_maps import PooledMaps

    tested = PooledMaps(test, *maps), test.labels
    if args.probe == 'logistic':
        return linear_probe_accuracy(PooledMaps(train, *maps), train.labels, *tested)
    views = [PooledMaps(train, *maps, view) for view in range(train.num_views)]
    return trained_probe_accuracy(views, train.labels, *tested, **args.settings)


def write_csv(path: Path, grids: dict[str, Grid]) -> None:
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['cache', 'pool', 'block', 'timestep', 'accuracy'])
        for cache, grid in grids.items():
            for (pool, block, timestep), value in np.ndenumerate(grid.accuracy):
                names = grid.pools[pool], grid.blocks[block], grid.timesteps[timestep]
                writer.writerow([cache, *names, f'{value:.2f}'])


def curves(grids: dict[str, Grid]) -> dict[str, dict[str, list[tuple[str, float]]]]:
    """For each axis of the first grid a curve through its best; over timesteps, all grids'."""
    over_timesteps = {}
    for name, grid in grids.items():
        pool, block, _ = grid.best()
        line = list(zip(grid.timesteps, grid.accuracy[pool, block], strict=True))
        over_timesteps[f'{name}, {grid.blocks[block]}, {side(grid, pool)}'] = line
    cache, grid = next(iter(grids.items()))
    pool, block, timestep = grid.best()
    blocks = list(zip(grid.blocks, grid.accuracy[pool, :, timestep], strict=True))
    sides = [side(grid, number) for number in range(len(grid.pools))]
    pools = list(zip(sides, grid.accuracy[:, block, timestep], strict=True))
    b, t = grid.blocks[block], grid.timesteps[timestep]
    return {
        'accuracy over timesteps': over_timesteps,
        f'over blocks ({t}, pooled to {side(grid, pool)})': {cache: blocks},
        f'over pool sizes ({b}, {t})': {cache: pools},
    }


def side(grid: Grid, pool: int) -> str:
    return f'{grid.pools[pool]}x{grid.pools[pool]}'


def main():
    args = parse_args()
    stack.require('mmpretrain')
    from mmdiff.visualization import draw_curves, draw_heat_maps

    caches = [args.cache, *args.beside]
    check_same_images(caches, args.split)
    grids = {str(cache): probe_cache(cache, args) for cache in caches}
    args.out.mkdir(parents=True, exist_ok=True)
    write_csv(args.out / 'probe_grid.csv', grids)
    grid = grids[str(args.cache)]
    titles = [f'pooled to {side(grid, number)}' for number in range(len(grid.pools))]
    draw_heat_maps(args.out / 'probe_grid.png', grid.accuracy, titles, grid.blocks, grid.timesteps)
    draw_curves(args.out / 'probe_curves.png', curves(grids), x_label=None)
    pool, block, timestep = grid.best()
    print(
        f'Best: {grid.accuracy.max():.2f} % at {grid.blocks[block]}, {grid.timesteps[timestep]}, '
        f'pool {grid.pools[pool]}. Wrote {args.out}/probe_grid.csv, probe_grid.png and '
        'probe_curves.png'
    )


if __name__ == '__main__':
    main()
