"""Loading transforms of OpenMMLab's pipelines, by mmdiff's reader."""

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from PIL import Image

from mmdiff.registry import TRANSFORMS

from .reader import read_label_map, read_rgb


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """Load an image: MMCV's ``LoadImageFromFile``, by :func:`mmdiff.datasets.read_rgb`.

    Of ordinary files (8-bit grey or RGB, JPEG or PNG) the pixels are those of
    MMCV's. Others are read right or refused, and named; an image that is cut
    off is never filled up.

    Required keys: ``img_path``; of COCO-format data also ``width`` and
    ``height``, which the image must have. Added keys: ``img`` (uint8, BGR, of
    shape (H, W, 3)), ``img_shape`` and ``ori_shape``.

    Args:
        backend_args (dict, optional): Of MMEngine's file backend. Defaults to
            None: by the path.
    """

    def __init__(self, backend_args: dict | None = None):
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the image.

        Args:
            results (dict): Of a data set.

        Returns:
            dict: With the added keys.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, or has another size than its
                annotations are for.
        """
        path = results['img_path']
        content = fileio.get(path, backend_args=self.backend_args)
        size = (results['width'], results['height']) if 'width' in results else None
        bgr = mmcv.rgb2bgr(np.asarray(read_rgb(content, path, size)))
        results.update(img=bgr, img_shape=bgr.shape[:2], ori_shape=bgr.shape[:2])
        return results

    def __repr__(self):
        return f'{type(self).__name__}(backend_args={self.backend_args})'


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Load a label map: MMSegmentation's ``LoadAnnotations``, by mmdiff's reader.

    It refuses what MMSegmentation would read as other labels (16 bits, JPEG,
    colours), and a label map that has not the size of its image.

    Required keys: ``seg_map_path``, ``reduce_zero_label``, ``label_map`` and
    ``seg_fields``, as of MMSegmentation's data sets; ``ori_shape``, as of
    :class:`LoadImageFromFile`. Added keys: ``gt_seg_map`` (uint8, of shape
    (H, W)).

    Args:
        reduce_zero_label (bool, optional): Whether label 0 stands for no class
            and 1 for the first. Defaults to None: as the data set says.
        backend_args (dict, optional): Of MMEngine's file backend. Defaults to
            None: by the path.
    """

    def __init__(self, reduce_zero_label: bool | None = None, backend_args: dict | None = None):
        self.reduce_zero_label = reduce_zero_label
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the label map.

        Args:
            results (dict): Of a data set, with the image.

        Returns:
            dict: With the added keys.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, has another size than the image,
                or if the data set's ``reduce_zero_label`` is another.
        """
        path = results['seg_map_path']
        labels = read_label_map(fileio.get(path, backend_args=self.backend_args), path)
        if labels.shape != results['ori_shape']:
            raise sizes_differ(labels, path, results['ori_shape'], results['img_path'])
        if self.reduce_zero_label not in (None, results['reduce_zero_label']):
            raise ValueError(
                f'reduce_zero_label is {self.reduce_zero_label} in LoadAnnotations, but '
                f'{results["reduce_zero_label"]} in the data set: set it in the data set alone'
            )
        results['gt_seg_map'] = class_numbers(
            labels, results['reduce_zero_label'], results['label_map']
        )
        results['seg_fields'].append('gt_seg_map')
        return results

    def __repr__(self):
        return (
            f'{type(self).__name__}(reduce_zero_label={self.reduce_zero_label}, '
            f'backend_args={self.backend_args})'
        )


def class_numbers(
    labels: np.ndarray, reduce_zero_label: bool, label_map: dict[int, int] | None
) -> np.ndarray:
    """The classes that the labels of a file stand for, as MMSegmentation has it.

    Args:
        labels (ndarray): uint8.
        reduce_zero_label (bool): Whether label 0 stands for no class and 1 for
            the first.
        label_map (dict[int, int], optional): The new number of each class,
            where a data set is used with other classes than its own.

    Returns:
        ndarray: uint8, 255 where there is no class.
    """
    if not (reduce_zero_label or label_map):
        return labels
    table = np.arange(256, dtype=np.uint8)
    if reduce_zero_label:
        table[1:255] = np.arange(254)
        table[0] = 255
    for old, new in (label_map or {}).items():
        table[old + reduce_zero_label] = new
    return cv2.LUT(labels, table)


def sizes_differ(
    labels: np.ndarray, path: str, image_shape: tuple[int, int], image_path: str
) -> ValueError:
    """What is wrong with a label map that has not the size of its image.

    Args:
        labels (ndarray): The label map.
        path (str): Its file.
        image_shape (tuple[int, int]): Height and width of the image, upright.
        image_path (str): Its file.

    Returns:
        ValueError: Names both, and says what to do.
    """
    (height, width), (image_height, image_width) = labels.shape, image_shape
    what = (
        f'{path} has {width}x{height} pixels, but its image {image_path} has '
        f'{image_width}x{image_height}'
    )
    try:
        with Image.open(image_path) as image:
            turned = image.size == (width, height)
    except OSError:  # It is not on this machine.
        turned = False
    if turned:
        return ValueError(
            f'{what} when it is turned as its EXIF note says, and the former as it is stored: turn '
            'the label map, or remove the note from the image'
        )
    return ValueError(f'{what}: save both with one size')
