from .feature_adapter import FeatureAdapter
from .feature_aggregator import FeatureAggregator

__all__ = ['FeatureAdapter', 'FeatureAggregator']
