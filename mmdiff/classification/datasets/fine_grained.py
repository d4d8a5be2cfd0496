"""The paper's fine-grained data sets (table 7), with their counts checked."""

from typing import ClassVar

from mmengine import list_from_file
from mmpretrain import datasets

from mmdiff.registry import DATASETS

from .checked import CheckedImages, check_split


@DATASETS.register_module()
class FGVCAircraft(CheckedImages, datasets.FGVCAircraft):
    """MMPretrain's ``FGVCAircraft`` that checks its 100 classes and 10,000 images."""

    NUM_CLASSES = 100
    NUM_IMAGES: ClassVar = {'train': 3334, 'val': 3333, 'trainval': 6667, 'test': 3333}


@DATASETS.register_module()
class StanfordCars(CheckedImages, datasets.StanfordCars):
    """MMPretrain's ``StanfordCars`` that checks its 196 classes and 16,185 images."""

    NUM_CLASSES = 196
    NUM_IMAGES: ClassVar = {'train': 8144, 'test': 8041}


@DATASETS.register_module()
class CUB(CheckedImages, datasets.CUB):
    """MMPretrain's ``CUB`` (200-2011) that checks its 200 classes and 11,788 images."""

    NUM_CLASSES = 200
    NUM_IMAGES: ClassVar = {'train': 5994, 'test': 5794}


@DATASETS.register_module()
class Flowers102(CheckedImages, datasets.Flowers102):
    """MMPretrain's ``Flowers102`` that checks its 102 classes and 8,189 images."""

    NUM_CLASSES = 102
    NUM_IMAGES: ClassVar = {'train': 1020, 'val': 1020, 'trainval': 2040, 'test': 6149}


class TrainTestDataset(CheckedImages, datasets.BaseDataset):
    """A data set with a training and a test split, which lists below its root tell apart.

    Args:
        data_root (str): Its folder.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        kwargs: Arguments of MMPretrain's ``BaseDataset``, such as
            ``pipeline``.

    Raises:
        ValueError: If ``split`` is another, or the data set is not whole.
    """

    # The list of the images, with {split} where each split has its own; their folder.
    LIST: str
    FOLDER: str

    def __init__(self, data_root: str, split: str = 'train', **kwargs):
        self.split = check_split(split, self.NUM_IMAGES)
        super().__init__(
            ann_file=self.LIST.format(split=split),
            data_root=data_root,
            data_prefix=self.FOLDER,
            test_mode=split == 'test',
            **kwargs,
        )


@DATASETS.register_module()
class StanfordDogs(TrainTestDataset):
    """`Stanford Dogs <http://vision.stanford.edu/aditya86/ImageNetDogs/>`_: 120 classes.

    ``images.tar`` and ``lists.tar``, unpacked in one folder::

        data_root
        ├── Images
        │   ├── n02085620-Chihuahua
        │   │   ├── n02085620_10074.jpg
        │   │   └── ...
        │   └── ...
        ├── train_list.mat
        └── test_list.mat

    The names of the classes are those of their folders. See
    :class:`TrainTestDataset` for the arguments.
    """

    NUM_CLASSES = 120
    NUM_IMAGES: ClassVar = {'train': 12000, 'test': 8580}
    LIST = '{split}_list.mat'
    FOLDER = 'Images'

    def load_data_list(self) -> list[dict]:
        """Read the list of the split.

        Returns:
            list[dict]: Path and label of each image.
        """
        # Only here: the other data sets do without SciPy.
        from scipy.io import loadmat

        lists = loadmat(self.ann_file, simplify_cells=True)
        # MATLAB counts from 1.
        labels = [int(label) - 1 for label in lists['labels']]
        folders = {
            label: path.split('/')[0]
            for path, label in zip(lists['file_list'], labels, strict=True)
        }
        self._metainfo['classes'] = tuple(
            folders[label].partition('-')[2] for label in sorted(folders)
        )
        return [
            {'img_path': f'{self.img_prefix}/{path}', 'gt_label': label}
            for path, label in zip(lists['file_list'], labels, strict=True)
        ]


@DATASETS.register_module()
class NABirds(TrainTestDataset):
    """`NABirds <https://dl.allaboutbirds.org/nabirds>`_: 555 classes.

    As unpacked::

        data_root
        ├── images
        │   ├── 0817
        │   │   ├── 0001afd499a14a67b940d419413e23b3.jpg
        │   │   └── ...
        │   └── ...
        ├── classes.txt
        ├── image_class_labels.txt
        ├── images.txt
        └── train_test_split.txt

    Its class numbers are the nodes of a tree, of which 555 have images;
    labels count these in order. See :class:`TrainTestDataset` for the
    arguments.
    """

    NUM_CLASSES = 555
    NUM_IMAGES: ClassVar = {'train': 23929, 'test': 24633}
    LIST = 'images.txt'
    FOLDER = 'images'

    def load_data_list(self) -> list[dict]:
        """Read the lists.

        Returns:
            list[dict]: Path and label of each image.

        Raises:
            ValueError: If the lists are not of the same images.
        """
        paths = self._read('images')
        nodes = self._read('image_class_labels')
        in_training = self._read('train_test_split')
        if not paths.keys() == nodes.keys() == in_training.keys():
            raise ValueError(
                f'{self.data_root}: images.txt, image_class_labels.txt and train_test_split.txt '
                'must be of the same images'
            )
        labels = {node: label for label, node in enumerate(sorted(set(nodes.values()), key=int))}
        names = self._read('classes')
        self._metainfo['classes'] = tuple(names[node] for node in labels)
        wanted = '1' if self.split == 'train' else '0'
        return [
            {'img_path': f'{self.img_prefix}/{path}', 'gt_label': labels[nodes[image]]}
            for image, path in paths.items()
            if in_training[image] == wanted
        ]

    def _read(self, name):
        """The pairs of a list: an image or a node, and what it has."""
        lines = list_from_file(f'{self.data_root}/{name}.txt')
        return dict(line.split(maxsplit=1) for line in lines if line.strip())
