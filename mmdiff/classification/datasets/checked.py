"""Checks that a classification data set is whole."""

import math
import os
from collections.abc import Mapping

from mmengine.fileio import get_file_backend


class CheckedImages:
    """A mixin for MMPretrain's data sets, before them in the bases.

    MMPretrain finds out that an image is missing when it reads it, hours into
    a run perhaps, and does not say which one it could not decode. With this,
    a data set that is opened has all its images, and one that cannot be read
    is named.

    Attributes:
        NUM_CLASSES (int | None): Classes that the images must have together.
        NUM_IMAGES (Mapping[str, int]): Images that each split must have.
    """

    NUM_CLASSES: int | None = None
    NUM_IMAGES: Mapping[str, int] = {}

    def filter_data(self) -> list[dict]:
        """Check what ``load_data_list`` found, then filter it by ``filter_cfg``.

        Returns:
            list[dict]: Path and label of each image that is left.

        Raises:
            ValueError: If there are no images, one is not there, a label is
                of no class, or there are other counts of images or classes
                than the data set's.
        """
        self._check_files(self.data_list)
        labels = {info['gt_label'] for info in self.data_list if 'gt_label' in info}
        num_classes = self.NUM_CLASSES or len(self.CLASSES or ()) or math.inf
        outside = sorted(label for label in labels if not 0 <= label < num_classes)
        if outside:
            raise ValueError(
                f'{self._origin()}: the label {outside[0]} is not one of {num_classes} classes'
            )
        for what, found, needed in (
            ('images', len(self.data_list), self.NUM_IMAGES.get(getattr(self, 'split', None))),
            ('classes', len(labels), self.NUM_CLASSES),
        ):
            if needed is not None and found != needed:
                raise ValueError(
                    f'{self._origin()}: {type(self).__name__} has {needed} {what} in its '
                    f'{self.split} split, but {found} were found'
                )
        return super().filter_data()

    def prepare_data(self, idx: int):
        """Load and transform an image.

        Args:
            idx (int): Which one.

        Returns:
            dict: What the pipeline makes of it.

        Raises:
            RuntimeError: If the pipeline fails; it names the image.
        """
        try:
            return super().prepare_data(idx)
        except Exception as error:
            path = self.get_data_info(idx)['img_path']
            raise RuntimeError(f'{path} could not be loaded and transformed: {error}') from error

    def _check_files(self, data_list):
        if not data_list:
            raise ValueError(f'{self._origin()} has no images')
        backend = get_file_backend(self.img_prefix, enable_singleton=True)
        folders: dict[str, set[str]] = {}
        missing = []
        for info in data_list:
            folder, name = os.path.split(info['img_path'])
            # One listing of a folder is much faster than asking for each of its files.
            if folder not in folders:
                names = backend.list_dir_or_file(folder, list_dir=False)
                folders[folder] = set(names) if backend.isdir(folder) else set()
            if name not in folders[folder]:
                missing.append(info['img_path'])
        if missing:
            raise ValueError(
                f'{self._origin()}: {len(missing)} of {len(data_list)} images are not there, such '
                f'as {missing[0]}'
            )

    def _origin(self):
        """Where the images stand, for messages."""
        return self.ann_file or self.img_prefix


def check_split(split: str, splits: Mapping[str, int]) -> str:
    """Refuse a split that a data set does not have.

    Args:
        split (str): Its name.
        splits (Mapping[str, int]): Names of those that there are.

    Returns:
        str: The name.

    Raises:
        ValueError: If it is another.
    """
    if split not in splits:
        raise ValueError(f'split must be one of {list(splits)}, got {split!r}')
    return split
