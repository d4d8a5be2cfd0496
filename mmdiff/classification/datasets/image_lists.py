"""Data sets of class folders, or of a list of images and labels."""

from collections.abc import Sequence
from typing import ClassVar

from mmengine import fileio
from mmpretrain import datasets
from mmpretrain.datasets.custom import find_folders, get_samples

from mmdiff.datasets import SUFFIXES, is_hidden, read_list
from mmdiff.registry import DATASETS

from .checked import CheckedImages, check_split


class CheckedLists(CheckedImages):
    """What MMPretrain's ``CustomDataset`` and its subclasses are checked for.

    Hidden files and folders of operating systems are no images and no classes.

    Args:
        args: Arguments of the subclass.
        extensions (Sequence[str]): Suffixes of images in class folders, in
            upper or lower case. Defaults to all that mmdiff reads.
        kwargs: Arguments of the subclass.
    """

    def __init__(self, *args, extensions: Sequence[str] = SUFFIXES, **kwargs):
        super().__init__(*args, extensions=extensions, **kwargs)

    def is_valid_file(self, filename: str) -> bool:
        """Whether a file of a class folder is an image."""
        return super().is_valid_file(filename) and not is_hidden(filename)

    def load_data_list(self) -> list[dict]:
        """Find the images and their classes.

        Returns:
            list[dict]: Path and label of each image.

        Raises:
            ValueError: If a line of the list is not a path and a label, or a
                class folder has no images; and as :class:`CheckedImages`.
        """
        if self.ann_file:
            return self._read_list()
        data_list = super().load_data_list()
        if self.with_label:
            labels = {info['gt_label'] for info in data_list}
            empty = [name for name, label in self.folder_to_idx.items() if label not in labels]
            if empty:
                raise ValueError(
                    f'{self.img_prefix}: the class folders {", ".join(empty)} have no images; '
                    'where that is meant, name the images in a list (ann_file)'
                )
        return data_list

    def _read_list(self):
        data_list = []
        for number, line in read_list(self.ann_file, fileio.get(self.ann_file)):
            # A path may have spaces.
            path, *label = line.rsplit(maxsplit=1) if self.with_label else [line]
            if self.with_label and not (label and label[0].isdecimal()):
                raise ValueError(
                    f'{self.ann_file}, line {number}: needs a path and a label, got {line!r}'
                )
            info = {'img_path': fileio.join_path(self.img_prefix, path)}
            data_list.append(info | {'gt_label': int(label[0])} if self.with_label else info)
        return data_list

    def _find_samples(self):
        if not self.with_label:
            return super()._find_samples()
        folders = [name for name in find_folders(self.img_prefix)[0] if not is_hidden(name)]
        self.folder_to_idx = {name: number for number, name in enumerate(folders)}
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(folders)
        elif len(self.CLASSES) != len(folders):
            raise ValueError(
                f'{self.img_prefix} has {len(folders)} class folders, but there are '
                f'{len(self.CLASSES)} classes'
            )
        samples, _ = get_samples(self.img_prefix, self.folder_to_idx, self.is_valid_file)
        return samples


@DATASETS.register_module()
class CustomDataset(CheckedLists, datasets.CustomDataset):
    """MMPretrain's ``CustomDataset`` that refuses what is not whole.

    The arguments are the same.

    Raises:
        ValueError: If a class folder is empty, a line of the list (``ann_file``)
            is not a path and a label, it names an image that is not there, or
            it has no images.
    """


@DATASETS.register_module()
class ImageNet(CheckedLists, datasets.ImageNet):
    """MMPretrain's ``ImageNet`` that refuses what is not whole.

    The arguments are the same. The counts are not checked, as the lists of
    1 % and 10 % of its labels have others.

    Raises:
        ValueError: As :class:`CustomDataset`.
    """


@DATASETS.register_module()
class ImageNet50(CheckedLists, datasets.CustomDataset):
    """50 classes of ImageNet, with the counts of the paper's table 7 checked.

    The lists are ``meta/train_50.txt`` and ``meta/val_50.txt``, as
    ``tools/dataset_converters/image_list.py`` writes them; the images stand
    in ``train`` and ``val``.

    Args:
        data_root (str): Folder of ImageNet.
        split (str): ``'train'`` or ``'val'``. Defaults to ``'train'``.
        kwargs: Arguments of MMPretrain's ``CustomDataset``, such as
            ``pipeline``.

    Raises:
        ValueError: If ``split`` is another; and as :class:`CustomDataset`.
    """

    NUM_CLASSES = 50
    NUM_IMAGES: ClassVar = {'train': 64274, 'val': 2500}

    def __init__(self, data_root: str, split: str = 'train', **kwargs):
        self.split = check_split(split, self.NUM_IMAGES)
        super().__init__(
            data_root=data_root, data_prefix=split, ann_file=f'meta/{split}_50.txt', **kwargs
        )
