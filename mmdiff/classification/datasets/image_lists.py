"""Data sets of class folders, or of a list of images and labels."""

from typing import ClassVar

from mmengine import list_from_file
from mmpretrain import datasets

from mmdiff.registry import DATASETS

from .checked import CheckedImages, check_split


class CheckedLists(CheckedImages):
    """What MMPretrain's ``CustomDataset`` and its subclasses are checked for."""

    def load_data_list(self) -> list[dict]:
        """Find the images and their classes.

        Returns:
            list[dict]: Path and label of each image.

        Raises:
            ValueError: If a line of the list is not a path and a label, or a
                class folder has no images; and as :class:`CheckedImages`.
        """
        if self.ann_file and self.with_label:
            for number, line in enumerate(list_from_file(self.ann_file), start=1):
                path, _, label = line.strip().rpartition(' ')
                if not path or not label.isdecimal():
                    raise ValueError(
                        f'{self.ann_file}, line {number}: needs a path and a label, got {line!r}'
                    )
        data_list = super().load_data_list()
        if not self.ann_file and self.with_label:
            labels = {info['gt_label'] for info in data_list}
            empty = [name for name, label in self.folder_to_idx.items() if label not in labels]
            if empty:
                raise ValueError(
                    f'{self.img_prefix}: the class folders {", ".join(empty)} have no images; '
                    'where that is meant, name the images in a list (ann_file)'
                )
        return data_list


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
