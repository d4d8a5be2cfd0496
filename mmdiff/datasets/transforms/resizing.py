"""Resizing as guided-diffusion does it."""

from collections.abc import Sequence

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmdiff.registry import TRANSFORMS
from mmdiff.utils import as_ints, check_int


@TRANSFORMS.register_module()
class ResizeShortEdge(BaseTransform):
    """Resize an image by its shorter side, to a fixed or a random length.

    As ``image_datasets.py`` of guided-diffusion: the image is halved with a box
    filter while its shorter side is at least twice the length, and resized with
    a bicubic one from there. A random length, then a random crop is its
    ``random_crop_arr``; a fixed one, then a centre crop its
    ``center_crop_arr``. (MMPretrain's ``ResizeEdge`` has one length and one
    filter, MMCV's ``RandomResize`` one filter.)

    Required key: ``img`` (uint8, of shape (H, W, 3)). Changed keys: ``img``
    and ``img_shape``. Added keys: ``scale`` (width and height) and
    ``scale_factor``.

    Args:
        scale (int | Sequence[int]): Length of the shorter side in pixels, or
            the least and the largest, all between which are equally likely.

    Raises:
        TypeError: If it is neither an int nor a sequence of ints.
        ValueError: If a length is less than 1, or if a sequence is not of two
            ints of which the second is at least the first.
    """

    def __init__(self, scale: int | Sequence[int]):
        lengths = as_ints('scale', scale)
        if len(lengths) not in (1, 2) or lengths[0] > lengths[-1]:
            raise ValueError(
                'scale must be the length of the shorter side, or the least and the largest, got '
                f'{scale!r}'
            )
        for length in lengths:
            check_int('scale', length)
        self.scale = lengths

    @cache_randomness
    def _length(self) -> int:
        return np.random.randint(self.scale[0], self.scale[-1] + 1)

    def transform(self, results: dict) -> dict:
        """Resize the image.

        Args:
            results (dict): Has the image.

        Returns:
            dict: With the changed and the added keys.
        """
        img, length = results['img'], self._length()
        height, width = img.shape[:2]
        while min(img.shape[:2]) >= 2 * length:
            img = _resized(img, *(side // 2 for side in img.shape[:2]), 'box')
        factor = length / min(img.shape[:2])
        img = _resized(img, *(round(side * factor) for side in img.shape[:2]), 'bicubic')
        new_height, new_width = img.shape[:2]
        results.update(
            img=img,
            img_shape=(new_height, new_width),
            scale=(new_width, new_height),
            scale_factor=(new_width / width, new_height / height),
        )
        return results

    def __repr__(self):
        return f'{type(self).__name__}(scale={self.scale})'


def _resized(img: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    return mmcv.imresize(img, (width, height), interpolation=interpolation, backend='pillow')
