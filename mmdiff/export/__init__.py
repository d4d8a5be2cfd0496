from .errors import ExportError
from .export import export_model
from .graph import INPUTS, OUTPUTS, ExportedModel
from .noise import NoiseStream
from .pooling import AdaptiveAvgPool

__all__ = [
    'INPUTS',
    'OUTPUTS',
    'AdaptiveAvgPool',
    'ExportError',
    'ExportedModel',
    'NoiseStream',
    'export_model',
]
