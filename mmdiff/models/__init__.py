from .backbones import (
    DifFeedBackbone,
    DiffusionBackbone,
    DiffusionTransformerBackbone,
    FusedBackbone,
    GuidedDiffusionBackbone,
    GuidedDiffusionEncoderBackbone,
    StableDiffusionBackbone,
    StableDiffusionDifFeedBackbone,
    backbone_of,
)
from .denoising_model import DenoisingModel
from .necks import FeatureAdapter, FeatureNorm

__all__ = [
    'DenoisingModel',
    'DifFeedBackbone',
    'DiffusionBackbone',
    'DiffusionTransformerBackbone',
    'FeatureAdapter',
    'FeatureNorm',
    'FusedBackbone',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
]
