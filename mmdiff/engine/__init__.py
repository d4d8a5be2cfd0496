from .distributed import init_cpu_distributed, leave_cpu_distributed
from .hooks import (
    IterationSeedHook,
    LabelCheckHook,
    ProgressBarHook,
    SafeCheckpointHook,
    SamplePictureHook,
    SaveUNetHook,
)

__all__ = [
    'IterationSeedHook',
    'LabelCheckHook',
    'ProgressBarHook',
    'SafeCheckpointHook',
    'SamplePictureHook',
    'SaveUNetHook',
    'init_cpu_distributed',
    'leave_cpu_distributed',
]
