"""What a diffusion model is trained to minimise."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .schedule import alphas_cumprod, at, betas


def simple_loss(output: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of the predicted noise (paper, eq. 4).

    Args:
        output (Tensor): What the U-Net gives, shape (N, 3 or 6, H, W).
        noise (Tensor): The noise that was added, shape (N, 3, H, W).

    Returns:
        Tensor: Shape (N, ).
    """
    return (output[:, :3] - noise).square().flatten(1).mean(1)


def variational_bound(
    output: Tensor, x_0: Tensor, x_t: Tensor, timesteps: Tensor, schedule: str
) -> Tensor:
    """Term of the variational bound that teaches the variance (*Improved DDPM*, section 3.1).

    The mean gets no gradient from it. At t=0 it is the negative log-likelihood
    of the image's 8-bit values, else the divergence of the predicted step from
    the true posterior.

    Args:
        output (Tensor): What a U-Net with ``learn_sigma`` gives, shape (N, 6,
            H, W).
        x_0 (Tensor): Images in [-1, 1], shape (N, 3, H, W).
        x_t (Tensor): The noised images.
        timesteps (Tensor): Their timesteps, shape (N, ).
        schedule (str): ``'linear'`` or ``'cosine'``.

    Returns:
        Tensor: Bits per value, shape (N, ).
    """
    noise, position = output.chunk(2, dim=1)
    noise = noise.detach()
    beta, abar = betas(schedule), alphas_cumprod(schedule)
    before = F.pad(abar[:-1], (1, 0), value=1.0)
    posterior = beta * (1 - before) / (1 - abar)
    # The posterior at t=0 is a point, whose logarithm is not finite.
    posterior[0] = posterior[1]

    def of_images(values):
        return at(values, timesteps, x_0)

    predicted_x_0 = (x_t - of_images((1 - abar).sqrt()) * noise) / of_images(abar.sqrt())
    from_x_0 = of_images(before.sqrt() * beta / (1 - abar))
    from_x_t = of_images((1 - beta).sqrt() * (1 - before) / (1 - abar))
    mean = from_x_0 * predicted_x_0 + from_x_t * x_t
    true_mean = from_x_0 * x_0 + from_x_t * x_t

    low, high = of_images(posterior.log()), of_images(beta.log())
    log_variance = low + (position + 1) / 2 * (high - low)
    divergence = 0.5 * (
        log_variance
        - low
        + (low - log_variance).exp()
        + (true_mean - mean).square() * (-log_variance).exp()
        - 1
    )
    likelihood = _log_likelihood_of_bytes(x_0, mean, (0.5 * log_variance).exp())
    terms = torch.where(timesteps[:, None, None, None] == 0, -likelihood, divergence)
    return terms.flatten(1).mean(1) / math.log(2)


def _log_likelihood_of_bytes(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Of 8-bit values in [-1, 1], each the share of a normal that rounds to it."""
    half = 1 / 255
    below = torch.special.ndtr((x - half - mean) / deviation)
    above = torch.special.ndtr((x + half - mean) / deviation)
    # The first and last values have all that is beyond.
    below = torch.where(x < -0.999, torch.zeros_like(below), below)
    above = torch.where(x > 0.999, torch.ones_like(above), above)
    return (above - below).clamp(min=1e-12).log()
