from .diffeed import DifFeedBackbone
from .feedback import FeedbackNetwork, feedback_targets
from .guided_diffusion import GuidedDiffusionBackbone

__all__ = ['DifFeedBackbone', 'FeedbackNetwork', 'GuidedDiffusionBackbone', 'feedback_targets']
