"""The check of COCO-format instances: MMDetection leaves out in silence what it cannot use."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from mmengine import fileio

from mmdiff.datasets.reader import read_rgb

from .files import files_below, in_threads, indices_of, left_out, read
from .report import Faults, SplitCheck

# COCO itself has a few boxes without an area. More are a mistake.
TOLERATED = 0.01
LEFT_OUT = ('box', 'zero', 'outside', 'mask', 'polygon')
LISTS = ('images', 'annotations', 'categories')


def loads_instances(dataset) -> bool:
    """Whether a data set's pipeline loads labels: a benchmark's test set may have none.

    Args:
        dataset (BaseDataset): Of MMDetection.

    Returns:
        bool: As its transforms say.
    """
    return any(hasattr(t, 'with_bbox') for t in dataset.pipeline.transforms)


def read_coco(path: str, backend_args: dict | None = None) -> dict:
    """Read an annotation file.

    Args:
        path (str): The file.
        backend_args (dict, optional): Of MMEngine's file backend. Defaults to
            None: by the path.

    Returns:
        dict: What is in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON.
    """
    try:
        return json.loads(fileio.get(path, backend_args=backend_args))
    except ValueError as error:
        raise ValueError(f'{path} is not JSON: {error}') from error


def check_annotations(
    path: str, coco: dict, classes: Sequence[str], with_mask: bool, faults: Faults
) -> None:
    """Find what is wrong inside an annotation file.

    Args:
        path (str): The file, for messages.
        coco (dict): What is in it.
        classes (Sequence[str]): Names of the classes that are learned.
        with_mask (bool): Whether masks are.
        faults (Faults): Gets what is wrong.
    """
    for key in LISTS:
        if not isinstance(coco, dict) or not isinstance(coco.get(key), list):
            faults.error('format', f'{path} is not in COCO format: it has no list {key!r}')
            return
    try:
        _check_images(path, coco['images'], faults)
        _check_categories(path, coco, classes, faults)
        _check_each_annotation(path, coco, with_mask, faults)
    except KeyError as error:
        faults.error('format', f'{path} is not in COCO format: an entry has no {error}')


def _check_images(path, images, faults):
    if not images:
        faults.error('no images', f'{path} has no images')
    for what, key in (('image id', 'id'), ('file name', 'file_name')):
        for value in _twice(image[key] for image in images):
            faults.error(what, f'{path} has the {what} {value!r} twice')


def _check_categories(path, coco, classes, faults):
    names = [category['name'] for category in coco['categories']]
    for value in _twice(category['id'] for category in coco['categories']):
        faults.error('category id', f'{path} has the category id {value!r} twice')
    for value in _twice(names):
        faults.error('category', f'{path} has the category {value!r} twice')
    missing = [name for name in classes if name not in names]
    in_file = [name for name in names if name in classes]
    if missing:
        faults.error('classes', f'{path} lacks the classes {missing} of metainfo; it has {names}')
    elif in_file != list(classes):
        faults.error(
            'classes',
            f'the classes of metainfo must be in the order of {path}, {in_file}, got '
            f'{list(classes)}',
        )
    of_name = {category['id']: category['name'] for category in coco['categories']}
    counts = Counter(of_name.get(a['category_id']) for a in coco['annotations'])
    unused = {name: counts[name] for name in names if name not in classes and counts[name]}
    if unused:
        listed = ', '.join(f'{name} ({count})' for name, count in unused.items())
        faults.warning(
            'unused',
            f'{path}: {sum(unused.values())} of {len(coco["annotations"])} annotations are of '
            f'categories that metainfo lacks, and are left out: {listed}',
        )


def _check_each_annotation(path, coco, with_mask, faults):
    annotations = coco['annotations']
    for value in _twice(a['id'] for a in annotations):
        faults.error('annotation id', f'{path} has the annotation id {value!r} twice')
    images = {image['id']: image for image in coco['images']}
    categories = {category['id'] for category in coco['categories']}
    found = [
        (kind, f'{path}, annotation {annotation["id"]} {text}')
        for annotation in annotations
        for kind, text in _wrong(annotation, images, categories, with_mask)
    ]
    few = sum(kind in LEFT_OUT for kind, _ in found) <= TOLERATED * len(annotations)
    corners = all(_may_be_corners(a['bbox']) for a in annotations)
    for kind, text in found:
        if kind == 'beyond' and corners:
            faults.error(kind, f'{text}: boxes are [x, y, width, height], not corners')
        elif kind == 'beyond' or (kind in LEFT_OUT and few):
            faults.warning(kind, text)
        else:
            faults.error(kind, text)


def _wrong(annotation, images, categories, with_mask):
    """What is wrong with an annotation: its kind, and how a message goes on."""
    image = images.get(annotation['image_id'])
    if image is None:
        yield 'image', f'is of image {annotation["image_id"]!r}, which is not in the file'
        return
    name, width, height = image['file_name'], image['width'], image['height']
    if annotation['category_id'] not in categories:
        category = annotation['category_id']
        yield 'category', f'of {name} is of category {category!r}, which is not in the file'
    box, mask = annotation['bbox'], annotation.get('segmentation')
    if not _is_box(box):
        yield 'box', f'of {name} has the box {box}, but one is 4 numbers: [x, y, width, height]'
        return
    x, y, w, h = box
    has_box = f'of {name} has the box {box}'
    # Not so for NaN.
    if not (w >= 1 and h >= 1 and annotation.get('area', 1) > 0):
        yield 'zero', f'{has_box}, without an area: boxes are [x, y, width, height] in pixels'
    elif not (x < width and y < height and x + w > 0 and y + h > 0):
        yield 'outside', f'{has_box}, outside of its {width}x{height} pixels'
    if x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1:
        yield 'beyond', f'{has_box}, which goes beyond its {width}x{height} pixels'
    if with_mask and not mask:
        yield (
            'no mask',
            (f'of {name} has no segmentation, but the pipeline loads masks (with_mask=True)'),
        )
    elif isinstance(mask, dict) and list(mask.get('size', ())) != [height, width]:
        size = mask.get('size')
        yield 'mask', f'of {name} has a mask of size {size}, but its image has {[height, width]}'
    for polygon in mask if isinstance(mask, list) else ():
        if len(polygon) < 6 or len(polygon) % 2:
            numbers = len(polygon)
            yield 'polygon', f'of {name} has a polygon of {numbers} numbers, but 3 corners have 6'


def _is_box(box):
    return len(box) == 4 and all(isinstance(value, int | float) for value in box)


def _may_be_corners(box):
    return _is_box(box) and box[2] > box[0] and box[3] > box[1]


def check_instances(dataset, split: SplitCheck, sample: int | None) -> None:
    """Read images, compare their sizes with the annotation file's, and count instances.

    Args:
        dataset (BaseDetDataset): The data set.
        split (SplitCheck): Gets what is found.
        sample (int, optional): How many images to read. None reads all, and
            counts instances.
    """
    split.unit = 'instances'
    indices = islice(indices_of(len(dataset), sample), sample)
    infos = [dataset.get_data_info(index) for index in indices]
    for error in filter(None, in_threads(lambda info: _read_image(dataset, info), infos)):
        split.faults.error(f'image {type(error).__name__}', str(error))
    if sample is not None:
        every = map(dataset.get_data_info, range(len(dataset)))
        if not any(not i['ignore_flag'] for info in every for i in info['instances']):
            _nothing(dataset, split)
        return
    instances = [i for info in infos for i in info['instances']]
    labels = [i['bbox_label'] for i in instances if not i['ignore_flag']]
    split.counts = np.bincount(np.array(labels, int), minlength=len(split.classes))
    if not labels:
        _nothing(dataset, split)
    crowds = len(instances) - len(labels)
    if crowds:
        split.faults.warning(
            'crowd',
            f'{dataset.ann_file}: {crowds} of {len(instances)} instances are crowds (iscrowd=1), '
            'which are not learned and not scored',
        )
    folder = dataset.data_prefix.get('img')
    if folder:
        used = {str(Path(info['img_path']).relative_to(folder)) for info in infos}
        for file in left_out(files_below(folder, dataset.backend_args), used):
            split.faults.warning(
                'unused',
                f'{Path(folder, file)} is not used: {dataset.ann_file} or filter_cfg leaves it out',
            )


def _read_image(dataset, info):
    path = info['img_path']
    try:
        read_rgb(read(dataset, path), path, (info['width'], info['height']))
    except (OSError, ValueError) as error:
        return error
    return None


def _nothing(dataset, split):
    split.faults.error(
        'nothing',
        f'{dataset.ann_file} has no instance of the classes {list(split.classes)} to learn or to '
        'score',
    )


def _twice(values):
    return [value for value, count in Counter(values).items() if count > 1]
