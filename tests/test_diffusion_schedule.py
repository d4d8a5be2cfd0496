"""The noise schedule against guided-diffusion's own."""

import numpy as np
import pytest
import torch
from guided_diffusion.script_util import create_gaussian_diffusion

from mmdiff.diffusion import alphas_cumprod, betas, fixed_noise, q_sample


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
def test_schedule_equals_guided_diffusion(schedule):
    reference = create_gaussian_diffusion(noise_schedule=schedule)
    np.testing.assert_allclose(betas(schedule), reference.betas, rtol=1e-10)
    np.testing.assert_allclose(alphas_cumprod(schedule), reference.alphas_cumprod, rtol=1e-10)


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
@pytest.mark.parametrize('timestep', [0, 90, 999])
def test_q_sample_equals_guided_diffusion(schedule, timestep):
    reference = create_gaussian_diffusion(noise_schedule=schedule)
    x_0, noise = torch.randn(2, 2, 3, 4, 5)
    expected = reference.q_sample(x_0, torch.tensor([timestep] * 2), noise)
    torch.testing.assert_close(q_sample(x_0, timestep, noise, schedule), expected)


def test_no_noise_is_the_mean():
    x_0 = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(
        q_sample(x_0, 90, None, 'linear'), q_sample(x_0, 90, torch.zeros_like(x_0), 'linear')
    )


def test_unknown_schedule():
    with pytest.raises(ValueError, match="'linear' or 'cosine', got 'sigmoid'"):
        betas('sigmoid')


def test_fixed_noise_depends_on_seed_and_shape_only():
    first = fixed_noise(0, (3, 4, 5)).clone()
    torch.randn(7)
    fixed_noise.cache_clear()
    assert torch.equal(fixed_noise(0, (3, 4, 5)), first)
    assert not torch.equal(fixed_noise(1, (3, 4, 5)), first)
    assert abs(fixed_noise(0, (3, 64, 64)).std() - 1) < 0.05
