"""Drawing images, against guided-diffusion's samplers."""

import sys

import pytest
import torch
from guided_diffusion.script_util import create_gaussian_diffusion
from mmengine.hooks import EMAHook
from mmengine.runner import get_priority
from test_diffusion_losses import ARCH
from test_diffusion_unet import reference_unet, with_weights_of

from mmdiff.diffusion import Architecture
from mmdiff.diffusion.sampling import sample
from mmdiff.engine import SamplePictureHook


def test_ddim_equals_guided_diffusion():
    """All 1000 steps: guided-diffusion spaces fewer ones otherwise than diffusers."""
    arch = Architecture(**ARCH)
    reference = reference_unet(arch)
    diffusion = create_gaussian_diffusion(learn_sigma=True)
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator('cpu').manual_seed(3))
    expected = diffusion.ddim_sample_loop(reference, noise.shape, noise=noise, eta=0.0)
    unet = with_weights_of(reference, arch).eval()
    images = sample(unet, 2, 1000, generator=torch.Generator('cpu').manual_seed(3))
    torch.testing.assert_close(images, expected.clamp(-1, 1), rtol=0, atol=1e-3)


@pytest.mark.parametrize('learn_sigma', [True, False])
def test_ancestral_sampling_equals_guided_diffusion(learn_sigma):
    arch = Architecture(learn_sigma=learn_sigma, **ARCH)
    reference = reference_unet(arch)
    diffusion = create_gaussian_diffusion(learn_sigma=learn_sigma, sigma_small=True)
    generator = torch.Generator('cpu').manual_seed(3)
    x_t = torch.randn(2, 3, 16, 16, generator=generator)
    with torch.no_grad():
        for t in reversed(range(1000)):
            step = diffusion.p_mean_variance(reference, x_t, torch.tensor([t, t]))
            x_t = step['mean']
            if t > 0:
                noise = torch.randn(x_t.shape, generator=generator)
                x_t = x_t + (0.5 * step['log_variance']).exp() * noise
    unet = with_weights_of(reference, arch).eval()
    images = sample(unet, 2, 1000, 'ddpm', torch.Generator('cpu').manual_seed(3))
    torch.testing.assert_close(images, x_t.clamp(-1, 1), rtol=0, atol=1e-3)


def test_samples_repeat_and_depend_on_the_seed():
    unet = with_weights_of(reference_unet(Architecture(**ARCH)), Architecture(**ARCH)).eval()
    for sampler in ('ddim', 'ddpm'):
        images = sample(unet, 3, 4, sampler)
        assert images.shape == (3, 3, 16, 16)
        assert images.abs().max() <= 1
        same, other = (torch.Generator('cpu').manual_seed(seed) for seed in (0, 1))
        assert torch.equal(images, sample(unet, 3, 4, sampler, same))
        assert not torch.equal(images, sample(unet, 3, 4, sampler, other))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(sampler='euler'), "sampler must be one of ddim, ddpm, got 'euler'"),
        (dict(num_steps=0), 'num_steps must divide 1000, got 0'),
        (dict(num_steps=600), 'num_steps must divide 1000, got 600'),
    ],
)
def test_bad_arguments(arguments, message):
    unet = with_weights_of(reference_unet(Architecture(**ARCH)), Architecture(**ARCH))
    with pytest.raises(ValueError, match=message):
        sample(unet, 1, **arguments)


def test_pictures_are_of_the_averaged_weights_and_of_one_process(monkeypatch):
    # EMAHook puts them into the model and, after this hook, takes them out again.
    assert get_priority(SamplePictureHook.priority) < get_priority(EMAHook.priority)
    monkeypatch.setattr('mmengine.dist.utils.is_main_process', lambda *group: False)
    SamplePictureHook().after_val_epoch(None)


@pytest.mark.parametrize('module', ['diffusers', 'torchvision.utils'])
def test_a_run_without_what_draws_stops_at_its_beginning(module, monkeypatch):
    # It has imported diffusers already.
    monkeypatch.delitem(sys.modules, 'mmdiff.diffusion.sampling')
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=module):
        SamplePictureHook().before_run(None)
