from .distributed import init_cpu_distributed
from .hooks import IterationSeedHook, ProgressBarHook, SamplePictureHook, SaveUNetHook

__all__ = [
    'IterationSeedHook',
    'ProgressBarHook',
    'SamplePictureHook',
    'SaveUNetHook',
    'init_cpu_distributed',
]
