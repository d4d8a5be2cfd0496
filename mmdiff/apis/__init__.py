from .features import FeatureExtractor
from .images import list_images, read_image

__all__ = ['FeatureExtractor', 'list_images', 'read_image']
