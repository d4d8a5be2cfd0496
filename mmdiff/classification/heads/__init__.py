from .attention_heads import AttentionHead, DifFormerHead
from .classifier_head import GuidedDiffusionClassifierHead
from .pooled_heads import CNNHead, LinearHead, MLPHead

__all__ = [
    'AttentionHead',
    'CNNHead',
    'DifFormerHead',
    'GuidedDiffusionClassifierHead',
    'LinearHead',
    'MLPHead',
]
