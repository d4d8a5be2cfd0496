"""The contenders of the benchmark for latent diffusion models: features of latents."""

from collections.abc import Callable
from pathlib import Path

import torch
from benchmark_worker import Task, load, noiseless
from torch import Tensor, nn

from mmdiff.diffusion import Denoiser, DenoiserArchitecture
from mmdiff.diffusion.dit import DiffusionTransformer, TransformerArchitecture
from mmdiff.diffusion.stable_diffusion import StableDiffusionArchitecture, StableDiffusionUNet

NETWORKS = {
    StableDiffusionArchitecture: StableDiffusionUNet,
    TransformerArchitecture: DiffusionTransformer,
}
# CLIP's number of tokens.
TEXT_LENGTH = 77


def random_weights(arch: DenoiserArchitecture) -> dict[str, Tensor]:
    """Weights of the whole network, none of them zero."""
    torch.manual_seed(0)
    network = NETWORKS[type(arch)](arch)
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

    levels = len(arch.block_out_channels)
    with torch.device('meta'):
        unet = UNet2DConditionModel(
            down_block_types=['CrossAttnDownBlock2D'] * (levels - 1) + ['DownBlock2D'],
            up_block_types=['UpBlock2D'] + ['CrossAttnUpBlock2D'] * (levels - 1),
            block_out_channels=arch.block_out_channels,
            layers_per_block=arch.layers_per_block,
            cross_attention_dim=arch.cross_attention_dim,
            attention_head_dim=arch.num_attention_heads,
            use_linear_projection=arch.use_linear_projection,
        )
    unet = load(unet, weights, device).requires_grad_(task.trained is not None)
    if task.checkpointing:
        unet.enable_gradient_checkpointing()
    last_layers = [layers[-1] for layers in diffusers_blocks(unet)]
    tokens = condition(arch, device)

    def run(x):
        features = []
        for timestep in task.timesteps:
            with tapped({number: last_layers[number - 1] for number in task.blocks}) as outputs:
                x_t = noiseless(x, timestep, arch)
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
        network: Denoiser = NETWORKS[type(arch)](
            arch,
            last_block=max(task.blocks, default=None),
            gradient_checkpointing=task.checkpointing,
        )
    network = load(network, weights, device)
    if task.trained is None:
        network.requires_grad_(False)
    tokens = condition(arch, device)

    def run(x):
        features = []
        for timestep in task.timesteps:
            x_t, t = noiseless(x, timestep, arch), torch.tensor([timestep], device=x.device)
            if task.blocks:
                features += network.features(x_t, t, task.blocks, tokens)
            else:
                features.append(network(x_t, t, tokens))
        return features

    return run


CONTENDERS = {
    StableDiffusionArchitecture: {'diffusers': diffusers, 'mmdiff': mmdiff},
    TransformerArchitecture: {'mmdiff': mmdiff},
}
