from .backbones import (
    DifFeedBackbone,
    DiffusionBackbone,
    DiffusionTransformerBackbone,
    GuidedDiffusionBackbone,
    GuidedDiffusionEncoderBackbone,
    StableDiffusionBackbone,
    StableDiffusionDifFeedBackbone,
    backbone_of,
)
from .denoising_model import DenoisingModel
from .necks import FeatureAdapter, SimpleFeaturePyramid

__all__ = [
    'DenoisingModel',
    'DifFeedBackbone',
    'DiffusionBackbone',
    'DiffusionTransformerBackbone',
    'FeatureAdapter',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'SimpleFeaturePyramid',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
]
