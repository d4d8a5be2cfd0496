from .arch import (
    ARCHITECTURES,
    TransformerArchitecture,
    get_transformer_architecture,
)
from .transformer import TAPS, DiffusionTransformer, TransformerBlock

__all__ = [
    'ARCHITECTURES',
    'TAPS',
    'DiffusionTransformer',
    'TransformerArchitecture',
    'TransformerBlock',
    'get_transformer_architecture',
]
