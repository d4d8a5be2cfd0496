from .noise_error import NoiseError

__all__ = ['NoiseError']
