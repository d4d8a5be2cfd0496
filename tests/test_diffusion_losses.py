"""Losses of a diffusion model, against guided-diffusion's."""

import pytest
import torch
from guided_diffusion.script_util import create_gaussian_diffusion
from test_diffusion_unet import reference_unet, with_weights_of

from mmdiff.diffusion import Architecture, q_sample, simple_loss, variational_bound

ARCH = dict(
    image_size=16,
    model_channels=32,
    channel_mult=(1, 2),
    num_res_blocks=1,
    attention_resolutions=(8,),
    num_head_channels=32,
)
TIMESTEPS = torch.tensor([0, 0, 1, 2, 10, 150, 500, 998, 999])


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
@pytest.mark.parametrize('learn_sigma', [True, False])
def test_losses_equal_those_of_guided_diffusion(schedule, learn_sigma):
    arch = Architecture(noise_schedule=schedule, learn_sigma=learn_sigma, **ARCH)
    reference = reference_unet(arch)
    diffusion = create_gaussian_diffusion(
        learn_sigma=learn_sigma, noise_schedule=schedule, rescale_learned_sigmas=True
    )
    generator = torch.Generator().manual_seed(0)
    # Bytes, black and white ones among them.
    x_0 = torch.randint(0, 256, (len(TIMESTEPS), 3, 16, 16), generator=generator) / 127.5 - 1
    noise = torch.randn(x_0.shape, generator=generator)
    expected = diffusion.training_losses(reference, x_0, TIMESTEPS, noise=noise)

    unet = with_weights_of(reference, arch)
    x_t = q_sample(x_0, TIMESTEPS, noise, schedule)
    torch.testing.assert_close(x_t, diffusion.q_sample(x_0, TIMESTEPS, noise), atol=1e-5, rtol=0)
    output = unet(x_t, TIMESTEPS)
    torch.testing.assert_close(simple_loss(output, noise), expected['mse'], rtol=1e-4, atol=1e-5)
    if learn_sigma:
        bound = variational_bound(output, x_0, x_t, TIMESTEPS, schedule)
        # At t=0 guided-diffusion approximates the normal distribution function.
        torch.testing.assert_close(bound[2:], expected['vb'][2:], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(bound[:2], expected['vb'][:2], rtol=1e-2, atol=1e-3)
        gradients = [
            torch.autograd.grad((loss).mean(), list(net.out.parameters()))
            for net, loss in (
                (unet, simple_loss(output, noise) + bound),
                (reference, expected['loss']),
            )
        ]
        for ours, theirs in zip(*gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-4)


def test_one_timestep_for_all_or_one_for_each():
    x_0, noise = torch.randn(2, 3, 3, 8, 8).unbind(0)
    each = q_sample(x_0, torch.tensor([7, 7, 7]), noise, 'linear')
    torch.testing.assert_close(each, q_sample(x_0, 7, noise, 'linear'))


def test_the_bound_leaves_the_mean_alone():
    x_0, timesteps = torch.zeros(2, 3, 4, 4), torch.tensor([0, 9])
    noise = torch.randn(2, 3, 4, 4)
    x_t = q_sample(x_0, timesteps, noise, 'linear')
    output = torch.cat([noise, torch.zeros_like(noise)], dim=1).requires_grad_()
    bound = variational_bound(output, x_0, x_t, timesteps, 'linear')
    (gradient,) = torch.autograd.grad(bound.sum(), output)
    assert not gradient[:, :3].any()
    assert gradient[:, 3:].all()
