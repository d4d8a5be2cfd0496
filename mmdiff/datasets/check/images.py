"""The check of images with a class each (MMPretrain), or without labels."""

from itertools import islice
from pathlib import Path

import numpy as np

from mmdiff.datasets.reader import read_rgb

from .files import files_below, in_threads, indices_of, left_out, read
from .report import SplitCheck


def check_images(dataset, split: SplitCheck, sample: int | None) -> None:
    """Read images, and count those of each class.

    Args:
        dataset (BaseDataset): The data set.
        split (SplitCheck): Gets what is found.
        sample (int, optional): How many images to read. None reads all, and
            counts them.
    """
    indices = islice(indices_of(len(dataset), sample), sample)
    infos = [dataset.get_data_info(index) for index in indices]
    for error in filter(None, in_threads(lambda info: _read_image(dataset, info), infos)):
        split.faults.error(f'unreadable {type(error).__name__}', str(error))
    if sample is not None:
        return
    if 'gt_label' in infos[0]:
        split.unit = 'images'
        # There may be several labels for an image.
        labels = np.concatenate([np.atleast_1d(info['gt_label']) for info in infos])
        split.counts = np.bincount(labels.astype(int), minlength=len(split.classes))
    folder = getattr(dataset, 'img_prefix', None)
    if folder and hasattr(dataset, 'extensions') and not dataset.ann_file:
        used = {str(Path(info['img_path']).relative_to(folder)) for info in infos}
        for file in left_out(files_below(folder, getattr(dataset, 'backend_args', None)), used):
            split.faults.warning(
                'suffix',
                f'{Path(folder, file)} is left out: its suffix is none of '
                f'{", ".join(sorted(dataset.extensions))} (extensions)',
            )


def _read_image(dataset, info):
    try:
        read_rgb(read(dataset, info['img_path']), info['img_path'])
    except (OSError, ValueError) as error:
        return error
    return None
