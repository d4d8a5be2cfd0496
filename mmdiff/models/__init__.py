from .backbones import (
    DifFeedBackbone,
    DiffusionBackbone,
    DiffusionTransformerBackbone,
    FusedBackbone,
    GuidedDiffusionBackbone,
    GuidedDiffusionEncoderBackbone,
    NoisedInputBackbone,
    StableDiffusionBackbone,
    StableDiffusionDifFeedBackbone,
    backbone_of,
)
from .denoising_model import DenoisingModel
from .necks import FeatureAdapter, FeatureAggregator, FeatureNorm, SimpleFeaturePyramid
from .standardization import ChannelStandardization

__all__ = [
    'ChannelStandardization',
    'DenoisingModel',
    'DifFeedBackbone',
    'DiffusionBackbone',
    'DiffusionTransformerBackbone',
    'FeatureAdapter',
    'FeatureAggregator',
    'FeatureNorm',
    'FusedBackbone',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'NoisedInputBackbone',
    'SimpleFeaturePyramid',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
]
