"""The embedding of timesteps that all families share."""

import math

import torch
from torch import Tensor

from .denoiser import DenoiserArchitecture
from .schedule import network_time


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


def time_vectors(timesteps: Tensor, arch: DenoiserArchitecture) -> Tensor:
    """What the time embedding's layers take.

    Args:
        timesteps (Tensor): Shape (N, ), from 0 to 999; or such vectors
            themselves, learned ones, which stay as they are.
        arch (DenoiserArchitecture): Gives the width and the noise process.

    Returns:
        Tensor: Shape (N, time_channels), float32.
    """
    if timesteps.dim() == 2:
        return timesteps
    return sinusoids(network_time(timesteps, arch.noise_schedule), arch.time_channels)
