from .backbones import DifFeedBackbone, GuidedDiffusionBackbone
from .necks import FeatureAdapter

__all__ = ['DifFeedBackbone', 'FeatureAdapter', 'GuidedDiffusionBackbone']
