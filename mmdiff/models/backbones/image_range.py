"""Refuse what are no images in the range of what a backbone was trained on."""

import math

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from mmdiff.torch_compat import is_compiling

# Resizing may overshoot the range of [-1, 1]; with ImageNet's mean and std, white is 2.2 to 2.6.
LIMIT = 1.5


def check_image_range(x_0: Tensor) -> None:
    """Refuse images that are far out of [-1, 1].

    A GPU is waited for.

    Args:
        x_0 (Tensor): Images, shape (N, 3, H, W). Of fake tensors, on the meta
            device and in ``torch.compile``, where there are no values, and in
            ``torch.jit.trace``, where they are an example, nothing is refused.

    Raises:
        ValueError: If a value is beyond 1.5, NaN or infinite.
    """
    if x_0.is_meta or isinstance(x_0, FakeTensor) or is_compiling() or torch.jit.is_tracing():
        return
    low, high = (value.item() for value in x_0.detach().aminmax())
    if low >= -LIMIT and high <= LIMIT:
        return
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError('x_0 has NaN or infinite values: look at the images')
    remedy = 'x_0 / 127.5 - 1, or ' if low >= 0 else 'no other normalisation, but '
    raise ValueError(
        f'x_0 must be RGB images in [-1, 1], got values from {low:.4g} to {high:.4g}. Of images '
        f'from 0 to 255: {remedy}mean=[127.5] * 3, std=[127.5] * 3 in the data preprocessor'
    )


class ImageCheck:
    """Refuse what a backbone cannot take as images.

    Values are looked at on the CPU, and on a GPU, which has to be waited for,
    the first time only.
    """

    def __init__(self):
        self._range_is_checked = False

    def __call__(self, x_0: Tensor) -> None:
        """Check images.

        Args:
            x_0 (Tensor): Images, shape (N, 3, H, W).

        Raises:
            TypeError: If they are not of floating point.
            ValueError: If they are of another shape, or empty, or out of range
                as of :func:`check_image_range`.
        """
        if x_0.dim() != 4 or x_0.shape[1] != 3 or not x_0.numel():
            one = ': of one image, x_0[None]' if x_0.dim() == 3 and len(x_0) == 3 else ''
            raise ValueError(
                f'x_0 must have shape (N, 3, H, W), none of them 0, got {tuple(x_0.shape)}{one}'
            )
        if not x_0.is_floating_point():
            raise TypeError(
                f'x_0 must hold floating-point values in [-1, 1], got {x_0.dtype}: of uint8 '
                'images, x_0 / 127.5 - 1'
            )
        if x_0.device.type == 'cpu' or not self._range_is_checked:
            check_image_range(x_0)
            self._range_is_checked = True
