from .feature_adapter import FeatureAdapter
from .feature_aggregator import FeatureAggregator
from .feature_norm import FeatureNorm
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['FeatureAdapter', 'FeatureAggregator', 'FeatureNorm', 'SimpleFeaturePyramid']
