"""The fixed noise of a backbone, in a graph that has no generator of random numbers."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdiff.diffusion import fixed_noise

# How many numbers PyTorch's generator draws at a time on a CPU.
PIECE = 16


class NoiseStream(nn.Module):
    """The numbers that :func:`mmdiff.diffusion.fixed_noise` draws, for all sizes up to a largest.

    PyTorch's CPU generator fills a tensor from its beginning, :data:`PIECE`
    numbers at a time: a smaller draw, of whole pieces, is the beginning of a
    larger one. So the noise of each size is a part of one constant.

    Args:
        seed (int): Seed of the draw.
        shape (Sequence[int]): The largest shape that will be asked for.
    """

    def __init__(self, seed: int, shape: Sequence[int]):
        super().__init__()
        numbers = fixed_noise(seed, (math.prod(shape),))
        self.register_buffer('numbers', numbers, persistent=False)

    def forward(self, shape: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
        """The fixed noise of a shape.

        Args:
            shape (Sequence[int]): A shape of no more numbers than the
                largest, in whole pieces unless it is the largest.
            device (torch.device): Where the stream is.
            dtype (torch.dtype): Type of the noise.

        Returns:
            Tensor: The noise.
        """
        return self.numbers[: math.prod(shape)].view(shape).to(device, dtype)
