from .feature_error import FeatureError
from .noise_error import NoiseError

__all__ = ['FeatureError', 'NoiseError']
