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
from .necks import FeatureAdapter, FeatureAggregator, SimpleFeaturePyramid
from .standardization import ChannelStandardization

__all__ = [
    'ChannelStandardization',
    'DenoisingModel',
    'DifFeedBackbone',
    'DiffusionBackbone',
    'DiffusionTransformerBackbone',
    'FeatureAdapter',
    'FeatureAggregator',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'SimpleFeaturePyramid',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
]
