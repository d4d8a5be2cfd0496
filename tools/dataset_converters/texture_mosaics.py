"""Make texture mosaics: images whose regions are told apart by texture alone.

The classic test of texture segmentation. Each region is one of nine textures
at a random angle, brightness and contrast, bent, lit unevenly and with noise;
each image has one tint: as with rocks, tissues or materials under a
microscope. Nothing is downloaded::

    OUT/images/000000.png   # RGB
    OUT/labels/000000.png   # the index of the texture, of the first images
    OUT/settings.json
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from generated import image_size, positive, write_once
from PIL import Image
from tqdm import tqdm

# Pixels per repetition of a texture.
PERIOD = (6.5, 7.5)
# Mean number of pixels of a region.
REGION_AREA = 1500
# Counted up when the same settings come to give other images.
VERSION = 1


def main():
    args = parse_args()
    settings = {
        'version': VERSION,
        'seed': args.seed,
        'size': args.size,
        'images': args.num_images,
        'labels': args.num_labels,
    }
    if write_once(args.out, settings, lambda folder: write_mosaics(folder, args)):
        print(f'Wrote {args.num_images} images and {args.num_labels} label maps to {args.out}.')
    else:
        print(f'{args.out} already has these images.')


def write_mosaics(out, args):
    for folder in ('images', 'labels'):
        (out / folder).mkdir()
    for number in tqdm(range(args.num_images), desc='texture mosaics', mininterval=1):
        # A generator for each image: more of them do not change the first ones.
        image, labels = make_mosaic(np.random.default_rng([args.seed, number]), args.size)
        name = f'{number:06d}.png'
        Image.fromarray(image).save(out / 'images' / name)
        if number < args.num_labels:
            Image.fromarray(labels).save(out / 'labels' / name)


def make_mosaic(rng, size):
    """An image, and for each pixel the index of its texture."""
    row, column = np.mgrid[:size, :size].astype(np.float32)
    mean = size**2 / REGION_AREA
    regions = rng.integers(round(0.7 * mean), 1 + round(1.3 * mean)) + 1
    # Regions with wavy borders, each around a point.
    distances = np.hypot(
        *(
            (grid + 2.5 * smooth_noise(rng, size, cell=10))[..., None]
            - rng.uniform(0, size, regions).astype(np.float32)
            for grid in (row, column)
        )
    )
    region_of = distances.argmin(-1)
    image = np.zeros((size, size, 3), np.float32)
    labels = np.zeros((size, size), np.uint8)
    for region in range(regions):
        label = rng.integers(len(TEXTURES))
        mask = region_of == region
        image[mask] = paint(rng, list(TEXTURES.values())[label](rng, size))[mask]
        labels[mask] = label
    image *= 1 + rng.uniform(-0.15, 0.15, 3)
    slope = rng.uniform(-0.3, 0.3, 2) / size
    light = 1 + slope[0] * (row - size / 2) + slope[1] * (column - size / 2)
    image = cv2.GaussianBlur(image * light[..., None], (0, 0), rng.uniform(0.3, 0.8))
    image += rng.normal(0, rng.uniform(2, 8), image.shape)
    return image.clip(0, 255).round().astype(np.uint8), labels


def paint(rng, pattern):
    """A pattern of values in [0, 1] as grey values."""
    return rng.uniform(60, 190) + (pattern[..., None] - 0.5) * rng.uniform(50, 110)


def smooth_noise(rng, size, cell):
    """Random values of variance about 1 that change over `cell` pixels."""
    coarse = rng.standard_normal((int(size / cell) + 4,) * 2).astype(np.float32)
    fine = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    start = int(cell)
    return fine[start : start + size, start : start + size]


def coordinates(rng, size):
    """Turned, shifted and bent coordinates of the pixels."""
    row, column = np.mgrid[:size, :size].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    shift = rng.uniform(0, size, 2)
    u = (column - shift[0]) * np.cos(angle) + (row - shift[1]) * np.sin(angle)
    v = (row - shift[1]) * np.cos(angle) - (column - shift[0]) * np.sin(angle)
    return (grid + 0.6 * smooth_noise(rng, size, cell=12) for grid in (u, v))


def edge(value):
    """From 0 to 1 where a value passes 0, within a pixel or so."""
    return np.clip(0.5 + 1.2 * value, 0, 1)


def stripes(rng, size):
    u, _ = coordinates(rng, size)
    return edge(np.sin(2 * np.pi * u / rng.uniform(*PERIOD)))


def checks(rng, size):
    u, v = coordinates(rng, size)
    period = rng.uniform(*PERIOD)
    return edge(2 * np.sin(2 * np.pi * u / period) * np.sin(2 * np.pi * v / period))


def dots(rng, size):
    u, v = coordinates(rng, size)
    period = rng.uniform(*PERIOD)
    # Every second row is shifted by half a period.
    u = (u + v // period % 2 * period / 2) % period - period / 2
    return edge(0.3 * period - np.hypot(u, v % period - period / 2))


def bricks(rng, size):
    u, v = coordinates(rng, size)
    height = rng.uniform(*PERIOD)
    width = 2 * height
    u = (u + v // height % 2 * width / 2) % width
    v = v % height
    return edge(np.minimum(np.minimum(u, width - u), np.minimum(v, height - v)) - 1)


def rings(rng, size):
    u, v = coordinates(rng, size)
    return edge(np.sin(2 * np.pi * np.hypot(rng.uniform(0.6, 1) * u, v) / rng.uniform(*PERIOD)))


def waves(rng, size):
    u, v = coordinates(rng, size)
    period = rng.uniform(*PERIOD)
    zigzag = 2 * period * abs(u / (2 * period) % 1 - 0.5)
    return edge(np.sin(2 * np.pi * (v + zigzag) / period))


def blotches(rng, size):
    return edge(2 * smooth_noise(rng, size, cell=0.6 * rng.uniform(*PERIOD)))


def grain(rng, size):
    return np.clip(rng.normal(0.5, 0.35, (size, size)), 0, 1)


def cracks(rng, size):
    # Borders between the cells around points, of which each square of a grid has one.
    u, v = coordinates(rng, size)
    square = 0.7 * rng.uniform(*PERIOD)
    u, v = u / square, v / square
    squares = 2 * int(2 * size / square) + 5
    points = rng.uniform(0, 1, (squares, squares, 2)).astype(np.float32)
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    distances = []
    for i in range(-2, 3):
        for j in range(-2, 3):
            point = points[(row + i) % squares, (column + j) % squares]
            distances.append(np.hypot(column + j + point[..., 0] - u, row + i + point[..., 1] - v))
    nearest, second = np.partition(distances, 1, axis=0)[:2]
    return edge(square * (second - nearest) - 1.3)


TEXTURES = {
    texture.__name__: texture
    for texture in (stripes, checks, dots, bricks, rings, waves, blotches, grain, cracks)
}


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to make, e.g. data/texture_mosaics')
    parser.add_argument('--num-images', type=positive, default=120, help='default: %(default)s')
    parser.add_argument(
        '--num-labels', type=int, default=120, help='of the first images (default: %(default)s)'
    )
    parser.add_argument(
        '--size', type=image_size, default=128, help='side in pixels (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    args = parser.parse_args()
    if not 0 <= args.num_labels <= args.num_images:
        parser.error(
            f'--num-labels must be from 0 to {args.num_images}, the number of images; '
            f'got {args.num_labels}'
        )
    return args


if __name__ == '__main__':
    main()
