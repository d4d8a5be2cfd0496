from .heads import AttentionHead, CNNHead, DifFormerHead, LinearHead, MLPHead

__all__ = ['AttentionHead', 'CNNHead', 'DifFormerHead', 'LinearHead', 'MLPHead']
