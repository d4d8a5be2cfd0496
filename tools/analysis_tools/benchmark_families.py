"""The contenders of the benchmark for other networks than the ADM U-Net."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from benchmark_worker import HALF, Task, autocast, load, noiseless
from torch import Tensor, nn

from mmdiff.diffusion import DenoiserArchitecture, network_of
from mmdiff.diffusion.adm import EncoderArchitecture
from mmdiff.diffusion.dit import TransformerArchitecture
from mmdiff.diffusion.stable_diffusion import StableDiffusionArchitecture, diffusers_config

# CLIP's number of tokens.
TEXT_LENGTH = 77


def random_weights(arch: DenoiserArchitecture) -> dict[str, Tensor]:
    """Weights of the whole network, none of them zero."""
    torch.manual_seed(0)
    network = network_of(arch)(arch)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return network.state_dict()


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


def mmdiff(task: Task, arch: DenoiserArchitecture, weights: Path, device: str) -> Callable:
    from mmdiff.utils import keep_freed_memory

    # As tools/train.py and tools/test.py do it.
    keep_freed_memory()
    with torch.device('meta'):
        network = network_of(arch)(
            arch,
            last_block=max(task.blocks, default=None),
            gradient_checkpointing=task.checkpointing,
        )
    network = load(network, weights, device)
    if task.trained is None:
        network.requires_grad_(False)
    tokens = condition(arch, device)

    def run(x):
        with autocast(task, x):
            return features_of(x)

    def features_of(x):
        features = []
        for timestep in task.timesteps:
            x_t, t = noiseless(x, timestep, arch), torch.tensor([timestep], device=x.device)
            if task.blocks:
                features += network.features(x_t, t, task.blocks, tokens)
            else:
                features.append(network(x_t, t, tokens))
        return features

    return run


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
