from .backbones import DifFeedBackbone, GuidedDiffusionBackbone
from .denoising_model import DenoisingModel
from .necks import FeatureAdapter

__all__ = ['DenoisingModel', 'DifFeedBackbone', 'FeatureAdapter', 'GuidedDiffusionBackbone']
