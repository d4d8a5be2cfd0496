from .distributed import init_cpu_distributed
from .hooks import (
    IterationSeedHook,
    ProgressBarHook,
    SafeCheckpointHook,
    SamplePictureHook,
    SaveUNetHook,
)

__all__ = [
    'IterationSeedHook',
    'ProgressBarHook',
    'SafeCheckpointHook',
    'SamplePictureHook',
    'SaveUNetHook',
    'init_cpu_distributed',
]
