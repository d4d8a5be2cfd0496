"""The contenders of the benchmark for other networks than the ADM U-Net."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from benchmark_contenders import HALF, Task, autocast, load, mmdiff, noiseless
from torch import Tensor

from mmdiff.diffusion import DenoiserArchitecture
from mmdiff.diffusion.adm import EncoderArchitecture
from mmdiff.diffusion.dit import TransformerArchitecture
from mmdiff.diffusion.stable_diffusion import StableDiffusionArchitecture, diffusers_config
from mmdiff.models.backbones.latent import LatentDiffusionBackbone

# CLIP's number of tokens.
TEXT_LENGTH = 77


def condition(arch: DenoiserArchitecture, device: str) -> Tensor | None:
    """What all contenders are conditioned on."""
    if arch.condition != 'text':
        return None
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, TEXT_LENGTH, arch.cross_attention_dim, generator=generator).to(device)


def diffusers(task: Task, arch: DenoiserArchitecture, weights: Path, device: str) -> Callable:
    from diffusers import UNet2DConditionModel
    from diffusers_unet import diffusers_blocks
    from guided_diffusion_unet import tapped

    with torch.device('meta'):
        unet = UNet2DConditionModel(**diffusers_config(arch))
    unet = load(unet, weights, device).requires_grad_(task.trained is not None)
    if task.checkpointing:
        unet.enable_gradient_checkpointing()
    last_layers = [layers[-1] for layers in diffusers_blocks(unet)]
    tokens = condition(arch, device)
    # Its users hold the weights in half precision, but to train.
    dtype = HALF.get(task.dtype) if task.trained is None else None
    if dtype and device != 'meta':
        unet.to(dtype)
        tokens = tokens.to(dtype)

    def run(x):
        with nullcontext() if dtype else autocast(task, x):
            return features_of(x)

    def features_of(x):
        features = []
        for timestep in task.timesteps:
            with tapped({number: last_layers[number - 1] for number in task.blocks}) as outputs:
                x_t = noiseless(x, timestep, arch).to(tokens.dtype)
                output = unet(x_t, timestep, tokens.expand(len(x), -1, -1)).sample
            # A transformer's output is a tuple.
            maps = [outputs[number] for number in task.blocks] or [output]
            features += [m if torch.is_tensor(m) else m[0] for m in maps]
        return features

    return run


def from_latents(model: LatentDiffusionBackbone, device: str) -> Callable:
    """Features by a backbone of latents, without its autoencoder, which is the same for all."""
    model.vae = None
    tokens = condition(model.arch, device)
    if tokens is not None:
        model.text_tokens = tokens
    stride = model.arch.input.stride

    def features_of(x):
        model.encode = lambda images: x
        n, _, height, width = x.shape
        return model(x.new_zeros(1).expand(n, 3, height * stride, width * stride))

    return features_of


def guided_diffusion(
    task: Task, arch: DenoiserArchitecture, weights: Path, device: str
) -> Callable:
    from guided_diffusion_unet import guided_diffusion_encoder, tapped

    with torch.device('meta'):
        encoder = guided_diffusion_encoder(arch)
    encoder = load(encoder, weights, device).requires_grad_(False)
    blocks = [*encoder.input_blocks, encoder.middle_block]

    def run(x):
        with autocast(task, x):
            return features_of(x)

    def features_of(x):
        features = []
        for timestep in task.timesteps:
            t = torch.full((len(x),), timestep, device=x.device)
            with tapped({number: blocks[number - 1] for number in task.blocks}) as outputs:
                output = encoder(noiseless(x, timestep, arch), t)
            features += [outputs[number] for number in task.blocks] or [output]
        return features

    return run


CONTENDERS = {
    EncoderArchitecture: {'guided-diffusion': guided_diffusion, 'mmdiff': mmdiff},
    StableDiffusionArchitecture: {'diffusers': diffusers, 'mmdiff': mmdiff},
    TransformerArchitecture: {'mmdiff': mmdiff},
}
