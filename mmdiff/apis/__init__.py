from mmdiff.datasets import list_images

from .features import FeatureExtractor
from .images import read_image

__all__ = ['FeatureExtractor', 'list_images', 'read_image']
