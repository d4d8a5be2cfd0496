from .averaging import FusedEMA
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
from .clean_features import CleanFeatures
from .denoising_model import DenoisingModel
from .distillation import FeatureDistillation
from .frozen_teacher import FrozenTeacherModel
from .necks import FeatureAdapter, FeatureAggregator, FeatureNorm, SimpleFeaturePyramid
from .standardization import ChannelStandardization

__all__ = [
    'ChannelStandardization',
    'CleanFeatures',
    'DenoisingModel',
    'DifFeedBackbone',
    'DiffusionBackbone',
    'DiffusionTransformerBackbone',
    'FeatureAdapter',
    'FeatureAggregator',
    'FeatureDistillation',
    'FeatureNorm',
    'FrozenTeacherModel',
    'FusedBackbone',
    'FusedEMA',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'NoisedInputBackbone',
    'SimpleFeaturePyramid',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
]
