"""Drawing images from a diffusion model, with the schedulers of diffusers."""

import torch
from diffusers import DDIMScheduler, DDPMScheduler

from .schedule import NUM_TIMESTEPS, betas
from .unet import UNet

SAMPLERS = ('ddim', 'ddpm')


@torch.no_grad()
def sample(
    unet: UNet,
    num_images: int,
    num_steps: int = 50,
    sampler: str = 'ddim',
    seed: int = 0,
) -> torch.Tensor:
    """Draw images.

    Args:
        unet (UNet): A whole U-Net, in evaluation mode, that is not
            class-conditional.
        num_images (int): How many.
        num_steps (int): Denoising steps, from 1 to 1000. Defaults to 50.
        sampler (str): ``'ddim'``, deterministic once the first noise is
            drawn, or ``'ddpm'``, ancestral. Defaults to ``'ddim'``.
        seed (int): Seed of the noise, drawn on the CPU. Defaults to 0.

    Returns:
        Tensor: RGB images in [-1, 1], shape (num_images, 3, image_size,
        image_size), on the device of the U-Net.

    Raises:
        ValueError: If an argument is out of range.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f'sampler must be one of {", ".join(SAMPLERS)}, got {sampler!r}')
    if not 1 <= num_steps <= NUM_TIMESTEPS:
        raise ValueError(f'num_steps must be from 1 to {NUM_TIMESTEPS}, got {num_steps}')
    arch = unet.arch
    kwargs = dict(
        num_train_timesteps=NUM_TIMESTEPS,
        trained_betas=betas(arch.noise_schedule).numpy(),
        clip_sample=True,
    )
    step_kwargs = {}
    if sampler == 'ddim':
        scheduler = DDIMScheduler(set_alpha_to_one=True, **kwargs)
        # As guided-diffusion does: the noise belongs to the clipped image.
        step_kwargs['use_clipped_model_output'] = True
    else:
        variance = 'learned_range' if arch.learn_sigma else 'fixed_small'
        scheduler = DDPMScheduler(variance_type=variance, **kwargs)
    scheduler.set_timesteps(num_steps)
    generator = torch.Generator('cpu').manual_seed(seed)
    device = next(unet.parameters()).device
    shape = (num_images, 3, arch.image_size, arch.image_size)
    x_t = torch.randn(shape, generator=generator).to(device)
    for t in scheduler.timesteps:
        output = unet(x_t, torch.full((num_images,), int(t), device=device)).float()
        if sampler == 'ddim':
            # It has no use for the predicted variance.
            output = output[:, :3]
        x_t = scheduler.step(output, t, x_t, generator=generator, **step_kwargs).prev_sample
    return x_t.clamp(-1, 1)
