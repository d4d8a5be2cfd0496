from .feature_adapter import FeatureAdapter
from .feature_norm import FeatureNorm

__all__ = ['FeatureAdapter', 'FeatureNorm']
