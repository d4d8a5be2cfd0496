from .arch import (
    ARCHITECTURES,
    StableDiffusionArchitecture,
    get_stable_diffusion_architecture,
)
from .checkpoint import open_checkpoint
from .text import read_text
from .unet import StableDiffusionUNet, diffusers_config

__all__ = [
    'ARCHITECTURES',
    'StableDiffusionArchitecture',
    'StableDiffusionUNet',
    'diffusers_config',
    'get_stable_diffusion_architecture',
    'open_checkpoint',
    'read_text',
]
