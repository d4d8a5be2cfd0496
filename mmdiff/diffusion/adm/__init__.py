from .arch import ARCHITECTURES, Architecture, get_architecture
from .encoder import (
    ENCODER_ARCHITECTURES,
    EncoderArchitecture,
    EncoderUNet,
    classifier_output,
    get_encoder_architecture,
)
from .unet import BlockLayers, UNet

__all__ = [
    'ARCHITECTURES',
    'ENCODER_ARCHITECTURES',
    'Architecture',
    'BlockLayers',
    'EncoderArchitecture',
    'EncoderUNet',
    'UNet',
    'classifier_output',
    'get_architecture',
    'get_encoder_architecture',
]
