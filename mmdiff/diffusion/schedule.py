"""The forward noising processes of diffusion models (paper, eq. 1 and 2)."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from .integers import is_int

NUM_TIMESTEPS = 1000
SCHEDULES = ('linear', 'scaled-linear', 'cosine', 'linear-path')


def betas(schedule: str) -> torch.Tensor:
    """Variances of the noise that each of the 1000 steps adds.

    Args:
        schedule (str): ``'linear'``, from 1e-4 to 2e-2 (Ho et al., *DDPM*);
            ``'scaled-linear'``, whose square roots are linear, from 8.5e-4 to
            1.2e-2 (Stable Diffusion); or ``'cosine'`` (Nichol and Dhariwal,
            *Improved DDPM*, eq. 17), cut off at 0.999.

    Returns:
        Tensor: Shape (1000, ), float64, on the CPU.

    Raises:
        ValueError: If the schedule is unknown, or has no betas.
    """
    kwargs = dict(dtype=torch.float64, device='cpu')
    if schedule == 'linear':
        return torch.linspace(1e-4, 2e-2, NUM_TIMESTEPS, **kwargs)
    if schedule == 'scaled-linear':
        return torch.linspace(8.5e-4**0.5, 1.2e-2**0.5, NUM_TIMESTEPS, **kwargs) ** 2
    if schedule == 'cosine':
        time = torch.arange(NUM_TIMESTEPS + 1, **kwargs) / NUM_TIMESTEPS
        signal = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
        return (1 - signal[1:] / signal[:-1]).clamp(max=0.999)
    raise ValueError(f"schedule must be 'scaled-linear', 'linear' or 'cosine', got {schedule!r}")


@lru_cache
def alphas_cumprod(schedule: str) -> torch.Tensor:
    r"""The share :math:`\bar\alpha_t` of the image's variance left at each step.

    Args:
        schedule (str): As of :func:`betas`.

    Returns:
        Tensor: Shape (1000, ), float64, decreasing.
    """
    return torch.cumprod(1 - betas(schedule), dim=0)


@dataclass(frozen=True)
class NoiseProcess:
    r"""What images become at each timestep.

    :math:`x_t` = ``signal[t]`` :math:`x_0` + ``spread[t]`` :math:`\epsilon`

    Attributes:
        signal (Tensor): Factor of the image, shape (1000, ), float64.
        spread (Tensor): Factor of the noise, likewise.
    """

    signal: torch.Tensor
    spread: torch.Tensor


@lru_cache
def noise_process(schedule: str, device: torch.device | str = 'cpu') -> NoiseProcess:
    r"""The noise process of a schedule.

    Args:
        schedule (str): One of :data:`SCHEDULES`. Those of :func:`betas` are
            variance-preserving: :math:`\sqrt{\bar\alpha_t}` and
            :math:`\sqrt{1 - \bar\alpha_t}`. ``'linear-path'`` is SiT's
            interpolant, :math:`s x_0 + (1 - s) \epsilon` at the time s of
            :func:`network_time`.
        device (torch.device | str): Where its factors are, so that a GPU has
            not to wait for them each time. Defaults to ``'cpu'``.

    Returns:
        NoiseProcess: The process.

    Raises:
        ValueError: If the schedule is unknown.
    """
    if schedule not in SCHEDULES:
        allowed = ', '.join(map(repr, SCHEDULES))
        raise ValueError(f'schedule must be one of {allowed}, got {schedule!r}')
    if schedule == 'linear-path':
        time = network_time(torch.arange(NUM_TIMESTEPS, device='cpu').double(), schedule)
        signal, spread = time, 1 - time
    else:
        abar = alphas_cumprod(schedule)
        signal, spread = abar.sqrt(), (1 - abar).sqrt()
    return NoiseProcess(signal.to(device), spread.to(device))


def network_time(timesteps: torch.Tensor, schedule: str) -> torch.Tensor:
    """What a network's time embedding takes at some timesteps.

    Args:
        timesteps (Tensor): From 0 to 999.
        schedule (str): One of :data:`SCHEDULES`.

    Returns:
        Tensor: The timesteps; for ``'linear-path'``, whose time runs from
        noise at 0 to data at 1, 1 - timesteps / 1000, so that a higher
        timestep is noisier everywhere.
    """
    return 1 - timesteps / NUM_TIMESTEPS if schedule == 'linear-path' else timesteps


def q_sample(
    x_0: torch.Tensor, timestep: int | torch.Tensor, noise: torch.Tensor | None, schedule: str
) -> torch.Tensor:
    r"""Noise images to a timestep (paper, eq. 2).

    :math:`x_t = \sqrt{\bar\alpha_t} x_0 + \sqrt{1 - \bar\alpha_t} \epsilon`,
    or what :func:`noise_process` has in place of the factors.

    Args:
        x_0 (Tensor): Images in [-1, 1] or latents, shape (N, C, H, W).
        timestep (int | Tensor): From 0 to 999, as guided-diffusion counts; one
            for all images, or one for each, shape (N, ).
        noise (Tensor, optional): Standard normal, of a shape that broadcasts
            to that of ``x_0``. None stands for zeros: the mean of
            :math:`q(x_t | x_0)`.
        schedule (str): One of :data:`SCHEDULES`.

    Returns:
        Tensor: The noised images, in the shape and dtype of ``x_0``.
    """
    if is_int(timestep):
        signal, spread = _factors(schedule, timestep)
    else:
        process = noise_process(schedule, timestep.device)
        signal, spread = (at(v, timestep, x_0) for v in (process.signal, process.spread))
    x_t = signal * x_0
    return x_t if noise is None else x_t + spread * noise


@lru_cache(maxsize=NUM_TIMESTEPS)
def _factors(schedule: str, timestep: int) -> tuple[float, float]:
    process = noise_process(schedule)
    return process.signal[timestep].item(), process.spread[timestep].item()


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
def fixed_noise(
    seed: int,
    shape: tuple[int, ...],
    device: torch.device | str = 'cpu',
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Standard normal noise that depends on nothing but its arguments.

    It is drawn on the CPU, so that a GPU gets the same. The result is shared
    between calls and must not be changed in place.

    Args:
        seed (int): Seed of the draw.
        shape (tuple[int, ...]): Shape of the result.
        device (torch.device | str): Where to keep it. Defaults to ``'cpu'``.
        dtype (torch.dtype): Its type. Defaults to float32.

    Returns:
        Tensor: The noise.
    """
    noise = torch.randn(shape, generator=torch.Generator('cpu').manual_seed(seed), device='cpu')
    return noise.to(device, dtype)
