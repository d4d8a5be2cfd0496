from .diffeed import DifFeedBackbone
from .feedback import FeedbackNetwork, feedback_targets
from .guided_diffusion import GuidedDiffusionBackbone
from .guided_diffusion_encoder import GuidedDiffusionEncoderBackbone

__all__ = [
    'DifFeedBackbone',
    'FeedbackNetwork',
    'GuidedDiffusionBackbone',
    'GuidedDiffusionEncoderBackbone',
    'feedback_targets',
]
