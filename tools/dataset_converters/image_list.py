"""List some images of a folder of class folders, as MMPretrain's data sets read them.

For training with few labels (1 % or 10 % of ImageNet) or with few classes (ImageNet-50). Each line
of OUT is `class/name.jpg label`; labels count the listed classes in alphabetical order. It is what
`train_dataloader.dataset.ann_file` of a config takes.
"""

import argparse
import random
from pathlib import Path

from mmdiff.datasets import is_image_file


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='e.g. data/imagenet/train')
    parser.add_argument('out', type=Path, help='text file to write')
    parser.add_argument(
        '--classes',
        type=Path,
        metavar='FILE',
        help='take these classes: the first word of each line names a folder',
    )
    some = parser.add_mutually_exclusive_group()
    some.add_argument(
        '--images',
        type=Path,
        metavar='FILE',
        help="take these images: a line each, as name.jpg or class/name.jpg (SimCLR's 1percent.txt "
        "and 10percent.txt, the paper's)",
    )
    some.add_argument(
        '--balanced',
        type=int,
        metavar='TOTAL',
        help='take so many images, of each class the same number or one more, as SimCLR did: 12811 '
        'and 128116',
    )
    some.add_argument(
        '--fraction',
        type=fraction,
        help='take this share of each class, at least one image: not balanced, as of large classes '
        'it takes more',
    )
    parser.add_argument(
        '--rest',
        type=Path,
        metavar='FILE',
        help='write the other images of the listed classes there, with the same labels',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of --balanced and --fraction (default: %(default)s)'
    )
    return parser.parse_args()


def fraction(text):
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'must be above 0 and at most 1, got {text}')
    return value


def words(path):
    """The first word of each line that has one."""
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


def find_images(folder, classes):
    """Names of the images of each class, sorted; every class must have some."""
    if not folder.is_dir():
        raise SystemExit(f'folder: {folder} is no folder')
    present = sorted(path.name for path in folder.iterdir() if path.is_dir())
    missing = sorted(set(classes or ()) - set(present))
    if missing:
        raise SystemExit(f'--classes names {", ".join(missing)}, which {folder} does not have')
    images = {
        name: sorted(p.name for p in (folder / name).iterdir() if is_image_file(p.name))
        for name in (sorted(set(classes)) if classes else present)
    }
    empty = [name for name, found in images.items() if not found]
    if empty or not images:
        raise SystemExit(f'{folder} has no images in {", ".join(empty) or "any class folder"}')
    return images


def listed(images, lines, source):
    """The images that lines name, which must all be there."""
    classes = {}
    for name, found in images.items():
        for image in found:
            classes.setdefault(image, []).append(name)
    chosen = {name: set() for name in images}
    missing = []
    for line in lines:
        *folder, image = line.rsplit('/', 1)
        candidates = [c for c in classes.get(image, ()) if not folder or c == folder[0]]
        if len(candidates) > 1:
            raise SystemExit(
                f'{source} names {image}, which several classes have: {", ".join(candidates)}'
            )
        if candidates:
            chosen[candidates[0]].add(image)
        else:
            missing.append(line)
    if missing:
        raise SystemExit(
            f'{source} names {len(missing)} images that are not there, such as {missing[0]}'
        )
    return {name: sorted(found) for name, found in chosen.items()}


def balanced_counts(images, total, seed):
    """How many images of each class make a total, if no class gives two more than another."""
    count, rest = divmod(total, len(images))
    if count < 1:
        raise SystemExit(f'--balanced must be at least the {len(images)} classes, got {total}')
    one_more = random.Random(seed).sample(list(images), rest)
    counts = {name: count + (name in one_more) for name in images}
    for name, found in images.items():
        if counts[name] > len(found):
            raise SystemExit(
                f'--balanced {total} takes {counts[name]} images of each of {len(images)} classes, '
                f'but {name} has {len(found)}'
            )
    return counts


def sampled(images, counts, seed):
    """So many images of each class, drawn by a seed."""
    # A generator for each class: another class does not change the draw.
    return {
        name: sorted(random.Random(f'{seed} {name}').sample(found, counts[name]))
        for name, found in images.items()
    }


def write_list(path, images):
    """A line `class/name.jpg label` for each image."""
    lines = [
        f'{name}/{image} {label}\n'
        for label, (name, found) in enumerate(images.items())
        for image in found
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(lines))
    print(f'Wrote {len(lines)} images of {len(images)} classes to {path}')


def main():
    args = parse_args()
    images = find_images(args.folder, words(args.classes) if args.classes else None)
    chosen = images
    if args.images:
        chosen = listed(images, words(args.images), args.images)
    elif args.balanced is not None:
        chosen = sampled(images, balanced_counts(images, args.balanced, args.seed), args.seed)
    elif args.fraction:
        counts = {name: max(1, round(args.fraction * len(f))) for name, f in images.items()}
        chosen = sampled(images, counts, args.seed)
    write_list(args.out, chosen)
    if args.rest:
        rest = {name: sorted(set(images[name]) - set(found)) for name, found in chosen.items()}
        write_list(args.rest, rest)


if __name__ == '__main__':
    main()
