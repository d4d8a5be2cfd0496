"""How images are noised on their way into a backbone."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmdiff.diffusion import NUM_TIMESTEPS, q_sample
from mmdiff.utils import as_ints, check_int

NOISES = ('random', 'fixed', 'none', 'clean')
# Without draws to average over.
NOISELESS = ('none', 'clean')


def check_timesteps(timestep: int | Sequence[int]) -> tuple[int, ...]:
    """The timesteps that a backbone was given.

    Args:
        timestep (int | Sequence[int]): One, or several that differ.

    Returns:
        tuple[int, ...]: From 0 to 999.

    Raises:
        TypeError: If it is something else.
        ValueError: If one is out of range, or there is none, or one twice.
    """
    timesteps = as_ints('timestep', timestep)
    for t in timesteps:
        check_int('timestep', t, 0, NUM_TIMESTEPS - 1)
    if not timesteps or len(set(timesteps)) < len(timesteps):
        raise ValueError(
            f'timestep must be an int or a sequence of different ints, got {timestep!r}'
        )
    return timesteps


def noise_images(
    x_0: Tensor,
    timestep: int,
    noise: str,
    fixed_noise: Callable[..., Tensor],
    noise_schedule: str,
    num_draws: int = 1,
) -> Tensor:
    """Noise a batch to a timestep (paper, eq. 2).

    Args:
        x_0 (Tensor): What is noised, shape (N * num_draws, C, H, W), the
            copies of an image side by side.
        timestep (int): The timestep, from 0 to 999.
        noise (str): One of :data:`NOISES`, as of :class:`DiffusionBackbone`.
        fixed_noise (Callable): :func:`mmdiff.diffusion.fixed_noise` with its
            seed, for ``'fixed'``.
        noise_schedule (str): One of :data:`mmdiff.diffusion.SCHEDULES`.
        num_draws (int): Draws for each image. Defaults to 1.

    Returns:
        Tensor: In the shape of ``x_0``.
    """
    if noise == 'clean':
        return x_0
    epsilon = None
    if noise == 'random':
        epsilon = torch.randn_like(x_0)
    elif noise == 'fixed':
        draws = fixed_noise((num_draws, *x_0.shape[1:]), x_0.device, x_0.dtype)
        # Not len(), which an exported graph would have as a number.
        epsilon = draws.repeat(x_0.shape[0] // num_draws, 1, 1, 1)
    return q_sample(x_0, timestep, epsilon, noise_schedule)
