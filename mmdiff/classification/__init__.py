from .feature_cache import CachedFeatureClassifier, CachedFeatures, use_feature_cache
from .feature_store import FeatureStore, FeatureStoreError
from .heads import AttentionHead, CNNHead, DifFormerHead, LinearHead, MLPHead

__all__ = [
    'AttentionHead',
    'CNNHead',
    'CachedFeatureClassifier',
    'CachedFeatures',
    'DifFormerHead',
    'FeatureStore',
    'FeatureStoreError',
    'LinearHead',
    'MLPHead',
    'use_feature_cache',
]
