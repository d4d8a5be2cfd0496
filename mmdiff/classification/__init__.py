from .datasets import (
    CUB,
    CustomDataset,
    FGVCAircraft,
    Flowers102,
    ImageNet,
    ImageNet50,
    NABirds,
    StanfordCars,
    StanfordDogs,
)
from .feature_cache import CachedFeatureClassifier, CachedFeatures, use_feature_cache
from .feature_store import FeatureStore, FeatureStoreError
from .heads import (
    AttentionHead,
    CNNHead,
    DifFormerHead,
    GuidedDiffusionClassifierHead,
    LinearHead,
    MLPHead,
)

__all__ = [
    'CUB',
    'AttentionHead',
    'CNNHead',
    'CachedFeatureClassifier',
    'CachedFeatures',
    'CustomDataset',
    'DifFormerHead',
    'FGVCAircraft',
    'FeatureStore',
    'FeatureStoreError',
    'Flowers102',
    'GuidedDiffusionClassifierHead',
    'ImageNet',
    'ImageNet50',
    'LinearHead',
    'MLPHead',
    'NABirds',
    'StanfordCars',
    'StanfordDogs',
    'use_feature_cache',
]
