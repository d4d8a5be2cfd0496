from .encoder import LatentEncoder
from .files import load_autoencoder, original_autoencoder, read_autoencoder, read_component

__all__ = [
    'LatentEncoder',
    'load_autoencoder',
    'original_autoencoder',
    'read_autoencoder',
    'read_component',
]
