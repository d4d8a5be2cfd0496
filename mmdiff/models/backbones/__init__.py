from .guided_diffusion import GuidedDiffusionBackbone

__all__ = ['GuidedDiffusionBackbone']
