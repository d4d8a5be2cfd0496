"""The embedding of timesteps that all families share."""

import math

import torch
from torch import Tensor


def sinusoids(timesteps: Tensor, width: int) -> Tensor:
    """Cosines and sines of timesteps, at frequencies from 1 to 1/10000.

    Args:
        timesteps (Tensor): Shape (N, ).
        width (int): Number of values for each, even.

    Returns:
        Tensor: Shape (N, width), float32, cosines first.
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=timesteps.device) * (-math.log(10000) / half))
    angles = timesteps[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)
