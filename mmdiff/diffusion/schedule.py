"""The forward noising process of a diffusion model (paper, eq. 1 and 2)."""

import math
from functools import lru_cache

import torch

NUM_TIMESTEPS = 1000


def betas(schedule: str) -> torch.Tensor:
    """Variances of the noise that each of the 1000 steps adds.

    Args:
        schedule (str): ``'linear'``, from 1e-4 to 2e-2 (Ho et al., *DDPM*), or
            ``'cosine'`` (Nichol and Dhariwal, *Improved DDPM*, eq. 17), cut
            off at 0.999.

    Returns:
        Tensor: Shape (1000, ), float64, on the CPU.

    Raises:
        ValueError: If the schedule is unknown.
    """
    if schedule == 'linear':
        return torch.linspace(1e-4, 2e-2, NUM_TIMESTEPS, dtype=torch.float64, device='cpu')
    if schedule == 'cosine':
        time = torch.arange(NUM_TIMESTEPS + 1, dtype=torch.float64, device='cpu') / NUM_TIMESTEPS
        signal = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
        return (1 - signal[1:] / signal[:-1]).clamp(max=0.999)
    raise ValueError(f"schedule must be 'linear' or 'cosine', got {schedule!r}")


@lru_cache
def alphas_cumprod(schedule: str) -> torch.Tensor:
    r"""The share :math:`\bar\alpha_t` of the image's variance left at each step.

    Args:
        schedule (str): ``'linear'`` or ``'cosine'``.

    Returns:
        Tensor: Shape (1000, ), float64, decreasing.
    """
    return torch.cumprod(1 - betas(schedule), dim=0)


def q_sample(
    x_0: torch.Tensor, timestep: int | torch.Tensor, noise: torch.Tensor | None, schedule: str
) -> torch.Tensor:
    r"""Noise images to a timestep (paper, eq. 2).

    :math:`x_t = \sqrt{\bar\alpha_t} x_0 + \sqrt{1 - \bar\alpha_t} \epsilon`

    Args:
        x_0 (Tensor): Images in [-1, 1], shape (N, C, H, W).
        timestep (int | Tensor): From 0 to 999, as guided-diffusion counts; one
            for all images, or one for each, shape (N, ).
        noise (Tensor, optional): Standard normal, of a shape that broadcasts
            to that of ``x_0``. None stands for zeros: the mean of
            :math:`q(x_t | x_0)`.
        schedule (str): ``'linear'`` or ``'cosine'``.

    Returns:
        Tensor: The noised images, in the shape and dtype of ``x_0``.
    """
    abar = alphas_cumprod(schedule)
    if isinstance(timestep, int):
        signal, spread = math.sqrt(abar[timestep]), math.sqrt(1 - abar[timestep])
    else:
        signal, spread = (at(v, timestep, x_0) for v in (abar.sqrt(), (1 - abar).sqrt()))
    x_t = signal * x_0
    return x_t if noise is None else x_t + spread * noise


def at(values: torch.Tensor, timesteps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What each image of a batch has of a schedule.

    Args:
        values (Tensor): A value for each timestep, shape (1000, ).
        timesteps (Tensor): The images' timesteps, shape (N, ).
        like (Tensor): The images.

    Returns:
        Tensor: Shape (N, 1, 1, 1), in the dtype and on the device of ``like``.
    """
    return values.to(timesteps.device)[timesteps].to(like)[:, None, None, None]


@lru_cache(maxsize=16)
def fixed_noise(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Standard normal noise that depends on nothing but its arguments.

    It is drawn on the CPU, so that a GPU gets the same. The result is shared
    between calls and must not be changed in place.

    Args:
        seed (int): Seed of the draw.
        shape (tuple[int, ...]): Shape of the result.

    Returns:
        Tensor: float32, on the CPU.
    """
    return torch.randn(shape, generator=torch.Generator('cpu').manual_seed(seed), device='cpu')
