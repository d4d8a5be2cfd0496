from .backbones import GuidedDiffusionBackbone
from .necks import FeatureAdapter

__all__ = ['FeatureAdapter', 'GuidedDiffusionBackbone']
