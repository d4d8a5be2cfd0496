"""Images for a diffusion model, as a backbone of another package takes them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Of pixels from 0 to 255, RGB: what OpenMMLab's and torchvision's backbones take.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class Renormalization(nn.Module):
    """From images in [-1, 1] to those that a backbone was trained on.

    Args:
        mean (Sequence[float]): What its images were normalised by: mean of
            pixels from 0 to 255, RGB.
        std (Sequence[float]): Their deviation.
        name (str): What comes before ``mean`` and ``std`` in errors. Defaults
            to nothing.

    Raises:
        ValueError: If they are not three numbers each, or a deviation is not
            above 0.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], name: str = ''):
        super().__init__()
        for key, values in (('mean', mean), ('std', std)):
            if not isinstance(values, list | tuple) or len(values) != 3:
                raise ValueError(
                    f'{name}{key} must be three numbers, of R, G and B from 0 to 255, got '
                    f'{values!r}'
                )
            values = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(key, values, persistent=False)
        if min(std) <= 0:
            raise ValueError(f'{name}std must be above 0, got {std!r}')

    def forward(self, images: Tensor) -> Tensor:
        """Normalise.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            Tensor: Likewise.
        """
        return (127.5 * (images + 1) - self.mean) / self.std
