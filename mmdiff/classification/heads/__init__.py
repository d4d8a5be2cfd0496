from .attention_heads import AttentionHead, DifFormerHead
from .pooled_heads import CNNHead, LinearHead, MLPHead

__all__ = ['AttentionHead', 'CNNHead', 'DifFormerHead', 'LinearHead', 'MLPHead']
