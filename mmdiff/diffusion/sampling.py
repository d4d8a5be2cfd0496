"""Drawing images from a diffusion model, with the schedulers of diffusers."""

import torch

try:
    from diffusers import DDIMScheduler, DDPMScheduler
    from diffusers.utils.torch_utils import randn_tensor
except ImportError as error:
    raise ImportError('drawing samples needs diffusers: pip install -e .[pretrain]') from error

from .adm import UNet
from .schedule import NUM_TIMESTEPS, betas

SAMPLERS = ('ddim', 'ddpm')


@torch.no_grad()
def sample(
    unet: UNet,
    num_images: int,
    num_steps: int = 50,
    sampler: str = 'ddim',
    generator: torch.Generator | list[torch.Generator] | None = None,
) -> torch.Tensor:
    """Draw images.

    Args:
        unet (UNet): A whole U-Net, in evaluation mode, that is not
            class-conditional.
        num_images (int): How many.
        num_steps (int): Denoising steps, a divisor of 1000. Defaults to 50.
        sampler (str): ``'ddim'``, deterministic once the first noise is
            drawn, or ``'ddpm'``, ancestral. Defaults to ``'ddim'``.
        generator (torch.Generator | list[torch.Generator], optional): Draws
            the noise, on the CPU; or one for each image, which so does not
            depend on the others. Defaults to None: one of seed 0.

    Returns:
        Tensor: RGB images in [-1, 1], shape (num_images, 3, image_size,
        image_size), on the device of the U-Net.

    Raises:
        ValueError: If an argument is out of range.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f'sampler must be one of {", ".join(SAMPLERS)}, got {sampler!r}')
    # Others would not begin at pure noise.
    if num_steps < 1 or NUM_TIMESTEPS % num_steps:
        raise ValueError(f'num_steps must divide {NUM_TIMESTEPS}, got {num_steps}')
    arch = unet.arch
    kwargs = dict(
        num_train_timesteps=NUM_TIMESTEPS,
        trained_betas=betas(arch.noise_schedule).numpy(),
        timestep_spacing='trailing',
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
    generator = generator or torch.Generator('cpu').manual_seed(0)
    device = next(unet.parameters()).device
    shape = (num_images, 3, arch.image_size, arch.image_size)
    x_t = randn_tensor(shape, generator=generator, device=device)
    for t in scheduler.timesteps:
        output = unet(x_t, torch.full((num_images,), int(t), device=device)).float()
        if sampler == 'ddim':
            # It has no use for the predicted variance.
            output = output[:, :3]
        x_t = scheduler.step(output, t, x_t, generator=generator, **step_kwargs).prev_sample
    return x_t.clamp(-1, 1)
