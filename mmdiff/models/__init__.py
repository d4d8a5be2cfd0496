from .backbones import (
    DifFeedBackbone,
    DiffusionBackbone,
    DiffusionTransformerBackbone,
    GuidedDiffusionBackbone,
    GuidedDiffusionEncoderBackbone,
    NoisedInputBackbone,
    StableDiffusionBackbone,
    StableDiffusionDifFeedBackbone,
    backbone_of,
)
from .denoising_model import DenoisingModel
from .necks import FeatureAdapter

__all__ = [
    'DenoisingModel',
    'DifFeedBackbone',
    'DiffusionBackbone',
    'DiffusionTransformerBackbone',
    'FeatureAdapter',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'NoisedInputBackbone',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
]
