from .loading import LoadAnnotations, LoadImageFromFile
from .resizing import ResizeShortEdge

__all__ = ['LoadAnnotations', 'LoadImageFromFile', 'ResizeShortEdge']
