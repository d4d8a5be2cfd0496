from .backbones import (
    DifFeedBackbone,
    DiffusionTransformerBackbone,
    GuidedDiffusionBackbone,
    GuidedDiffusionEncoderBackbone,
    StableDiffusionBackbone,
    StableDiffusionDifFeedBackbone,
    backbone_of,
)
from .denoising_model import DenoisingModel
from .necks import FeatureAdapter

__all__ = [
    'DenoisingModel',
    'DifFeedBackbone',
    'DiffusionTransformerBackbone',
    'FeatureAdapter',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
]
