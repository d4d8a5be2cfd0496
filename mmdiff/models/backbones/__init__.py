from .base import DiffusionBackbone
from .diffeed import DifFeedBackbone, StableDiffusionDifFeedBackbone
from .diffusion_transformer import DiffusionTransformerBackbone
from .families import backbone_of
from .feedback import FeedbackNetwork, feedback_targets
from .fused import FusedBackbone
from .guided_diffusion import GuidedDiffusionBackbone
from .guided_diffusion_encoder import GuidedDiffusionEncoderBackbone
from .noised_input import NoisedInputBackbone
from .stable_diffusion import StableDiffusionBackbone

__all__ = [
    'DifFeedBackbone',
    'DiffusionBackbone',
    'DiffusionTransformerBackbone',
    'FeedbackNetwork',
    'FusedBackbone',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'NoisedInputBackbone',
    'StableDiffusionBackbone',
    'StableDiffusionDifFeedBackbone',
    'backbone_of',
    'feedback_targets',
]
