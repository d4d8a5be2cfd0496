"""Linear CKA between the features of blocks and timesteps, or of two backbones (paper, figure 5).

Reads what tools/cache_features.py wrote, twice the same cache or two of the same images. Writes
OUT/cka.csv and OUT/cka.png. Memory does not grow with the number of images.
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
    parser.add_argument('rows', type=Path, help='a cache')
    parser.add_argument('columns', type=Path, help='the same cache, or another to compare with')
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        default='test',
        help='the images (default: %(default)s)',
    )
    parser.add_argument('--batch-size', type=int, default=100, help='default: %(default)s')
    return parser.parse_args()


def maps(store, images: slice) -> list[np.ndarray]:
    """Each map of some images, flattened."""
    return [
        store.read_maps(images, timestep, block).reshape(len(store.labels[images]), -1)
        for timestep, shapes in enumerate(store.shapes)
        for block in range(len(shapes))
    ]


def main():
    args = parse_args()
    stack.require('mmpretrain')
    from mmdiff.analysis import MinibatchCKA
    from mmdiff.classification.cached_maps import open_splits
    from mmdiff.visualization import draw_heat_maps

    stores = [open_splits(cache, (args.split,))[0] for cache in (args.rows, args.columns)]
    # Pipelines may differ, as backbones want different images; files and labels may not.
    if stores[0].settings['images'] != stores[1].settings['images']:
        raise SystemExit(f'columns: {args.columns} is of other images than {args.rows}')
    names = [[name for maps in s.settings['maps'] for name in maps] for s in stores]
    cka = MinibatchCKA(*map(len, names))
    # Images often stand class by class, and a batch should have all classes. One that is cut short
    # would weigh as much as a whole one.
    size = min(args.batch_size, len(stores[0]))
    num_batches = len(stores[0]) // size
    for first in tqdm(range(num_batches)):
        images = slice(first, size * num_batches, num_batches)
        cka.add(*(maps(store, images) for store in stores))
    table = cka.value()
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / 'cka.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['', *names[1]])
        for name, values in zip(names[0], table, strict=True):
            writer.writerow([name, *(f'{value:.4f}' for value in values)])
    draw_heat_maps(args.out / 'cka.png', [table], ['linear CKA'], *names, digits=2)
    print(f'Wrote {args.out}/cka.csv and .png')


if __name__ == '__main__':
    main()
