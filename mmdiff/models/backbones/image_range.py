"""Refuse images that are not in the range of what a backbone was trained on."""

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
