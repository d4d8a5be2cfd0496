from .feature_adapter import FeatureAdapter
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['FeatureAdapter', 'SimpleFeaturePyramid']
