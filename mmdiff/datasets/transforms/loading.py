"""Loading transforms of OpenMMLab's pipelines, by mmdiff's reader.

They have the names of those whose place they take, as OpenMMLab's inference tools look for these:
``dict(type='LoadImageFromFile', _scope_='mmdiff')``.
"""

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio

from mmdiff.registry import TRANSFORMS

from ..label_maps import class_numbers, sizes_differ
from ..reader import read_label_map, read_rgb


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

    # MMDetection has another of this name.
    package = 'mmseg'

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
