"""The check of images with label maps (MMSegmentation)."""

import os
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from mmdiff.datasets.label_maps import class_numbers, sizes_differ
from mmdiff.datasets.reader import orientation, read_label_map, read_rgb

from .files import AT_ONCE, files_below, in_threads, indices_of, left_out, read
from .lists import check_list
from .report import Faults, SplitCheck

IGNORED = 255
# Beyond a sample, so many files are read for a sign that the labels are as they must be.
MOST = 500


def check_pairs(dataset, faults: Faults) -> None:
    """Find images without label maps and label maps without images, by their names.

    Args:
        dataset (BaseSegDataset): The data set, opened or not (``lazy_init``).
        faults (Faults): Gets what is wrong.
    """
    images, maps = (dataset.data_prefix.get(key) for key in ('img_path', 'seg_map_path'))
    if not images:
        return
    found = files_below(images, dataset.backend_args)
    present = set(files_below(maps, dataset.backend_args)) if maps else set()
    used = _listed(dataset, found, faults) if dataset.ann_file else _named(dataset, found)
    of_image = {file: _label_map(dataset, file) for file in sorted(used)}
    if not dataset.ann_file:
        own = set(of_image.values()) if images == maps else set()
        _name_left_out(dataset, left_out(found, used | own), present, used, faults)
    if not maps:
        return
    for file, label_map in of_image.items():
        if label_map not in present:
            faults.error(
                'no label map',
                f'{Path(images, file)} has no label map: {Path(maps, label_map)} is not there '
                f'(seg_map_suffix is {dataset.seg_map_suffix!r})',
            )
    if not dataset.ann_file and images != maps:
        for file in left_out(sorted(present), set(of_image.values())):
            faults.warning('no image', f'{Path(maps, file)} is the label map of no image')


def _named(dataset, found):
    return {file for file in found if file.endswith(dataset.img_suffix)}


def _listed(dataset, found, faults):
    check_list(dataset.ann_file, dataset.img_suffix, faults)
    folder = dataset.data_prefix['img_path']
    listed = {os.path.relpath(info['img_path'], folder) for info in dataset.load_data_list()}
    for file in sorted(listed - set(found)):
        faults.error(
            'no image', f'{Path(folder, file)}, which {dataset.ann_file} names, is not there'
        )
    return listed & set(found)


def _label_map(dataset, file):
    return file.removesuffix(dataset.img_suffix) + dataset.seg_map_suffix


def _name_left_out(dataset, others, present, used, faults):
    folder, suffix = dataset.data_prefix['img_path'], dataset.img_suffix
    if not used:
        text = f'{folder} has no file that ends with {suffix!r} (img_suffix)'
        if others:
            text += f', but e.g. {others[0]}: set img_suffix={Path(others[0]).suffix!r}'
        faults.error('no images', text)
        return
    for file in others:
        # One that has labels was meant to be used.
        labelled = f'{file.removesuffix(Path(file).suffix)}{dataset.seg_map_suffix}' in present
        (faults.error if labelled else faults.warning)(
            f'suffix {labelled}',
            f'{Path(folder, file)} is left out, as it does not end with {suffix!r} (img_suffix): '
            'give all images one suffix, also in upper or lower case',
        )


def check_label_maps(dataset, split: SplitCheck, sample: int | None) -> None:
    """Read images and label maps, and count the pixels of each class.

    Args:
        dataset (BaseSegDataset): The data set.
        split (SplitCheck): Gets what is found.
        sample (int, optional): How many files to read at least. None reads
            all.
    """
    split.unit = 'pixels'
    num_classes = len(split.classes)
    # Of each label in the files, and of each class that it stands for.
    pixels = np.zeros((2, 256), np.int64)
    indices = indices_of(len(dataset), sample)

    def read_pairs(number):
        chosen = (dataset.get_data_info(index) for index in islice(indices, number))
        read_one = partial(_read_pair, dataset, num_classes)
        for found, faults in in_threads(read_one, chosen):
            pixels[...] += found
            split.faults.add(faults)

    def suspicious():
        """Whether what was read looks as if the labels counted otherwise."""
        seen = pixels[1, :num_classes] > 0
        one_class = num_classes > 1 and seen.sum() < 2
        return one_class or (dataset.reduce_zero_label and not seen[-1])

    read_pairs(sample)
    if sample is not None:
        for _ in range(0, MOST, AT_ONCE):
            if suspicious() and not split.faults.errors:
                read_pairs(AT_ONCE)
    raw, counts = pixels
    split.counts = counts[:num_classes]
    _judge(dataset, split, raw, counts[IGNORED], complete=next(indices, None) is None)


def _read_pair(dataset, num_classes, info):
    """Pixels of each label of a file, and of each class that it stands for, and what is wrong."""
    nothing, faults = np.zeros((2, 256), np.int64), Faults()
    path = info['seg_map_path']
    try:
        image = read(dataset, info['img_path'])
        rgb = read_rgb(image, info['img_path'])
        labels = read_label_map(read(dataset, path), path)
    except (OSError, ValueError) as error:
        faults.error('unreadable', str(error))
        return nothing, faults
    if labels.shape != rgb.size[::-1]:
        faults.error('sizes', str(sizes_differ(labels, path, rgb.size[::-1], info['img_path'])))
        return nothing, faults
    note = orientation(image)
    if note in (2, 3, 4) and not orientation(read(dataset, path)):
        faults.warning(
            'turned',
            f'{info["img_path"]} is turned as its EXIF note says ({note}), and its '
            f'label map {path} has none: it must have been drawn on the turned image',
        )
    raw = np.bincount(labels.ravel(), minlength=256)
    classes = class_numbers(labels, info['reduce_zero_label'], info['label_map'])
    counts = np.bincount(classes.ravel(), minlength=256)
    outside = np.flatnonzero(counts[num_classes:IGNORED])
    if outside.size:
        number = num_classes + outside[0]
        faults.error('values', _outside(path, number, dataset.reduce_zero_label, num_classes, raw))
    return np.stack([raw, counts]), faults


def _outside(path, number, reduce_zero_label, num_classes, raw):
    text = (
        f'{path} has label {number + reduce_zero_label}, but there are {num_classes} classes, for '
        f'labels from {int(reduce_zero_label)} to {num_classes - 1 + reduce_zero_label}, and 255 '
        'where there is none'
    )
    if not reduce_zero_label and number == num_classes and not raw[number + 1 : IGNORED].any():
        text += ': where 0 stands for no class and 1 for the first, set reduce_zero_label=True'
    return text


def _judge(dataset, split, raw, ignored, complete):
    seen = np.flatnonzero(split.counts)
    total = max(raw.sum(), 1)
    if split.faults.errors and not seen.size:
        return
    if not seen.size:
        split.faults.error(
            'nothing',
            f'{dataset.data_prefix["seg_map_path"]} has no pixel of any class, only label 255 '
            f'(none){" and 0, which reduce_zero_label leaves out" * dataset.reduce_zero_label}: '
            'there is nothing to learn or to score',
        )
    elif seen.size == 1 and split.counts.size > 1:
        text = (
            f'{dataset.data_prefix["seg_map_path"]}: all labels are of class '
            f'{split.class_name(seen[0])}'
        )
        if ignored:
            text += (
                f', but for {100 * ignored / total:.1f} % with 255, which stands for no class: in '
                'masks of 0 and 255, save 255 as the number of the class'
            )
        (split.faults.error if complete or ignored else split.faults.warning)('one class', text)
    elif dataset.reduce_zero_label and raw[0] and not split.counts[-1]:
        last = split.counts.size - 1
        (split.faults.error if complete else split.faults.warning)(
            'reduce_zero_label',
            f'{dataset.data_prefix["seg_map_path"]}: reduce_zero_label=True leaves out label 0, '
            f'{100 * raw[0] / total:.1f} % of the pixels, and the last class, '
            f'{split.class_name(last)}, has no pixel: where 0 is the first class, set '
            'reduce_zero_label=False',
        )
