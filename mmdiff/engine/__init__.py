from .distributed import init_cpu_distributed, leave_cpu_distributed
from .hooks import (
    DivergedError,
    DivergenceHook,
    InputCheckHook,
    IterationSeedHook,
    LabelCheckHook,
    LoadingHook,
    PrepareForInferenceHook,
    ProgressBarHook,
    SafeCheckpointHook,
    SamplePictureHook,
    SaveUNetHook,
)

__all__ = [
    'DivergedError',
    'DivergenceHook',
    'InputCheckHook',
    'IterationSeedHook',
    'LabelCheckHook',
    'LoadingHook',
    'PrepareForInferenceHook',
    'ProgressBarHook',
    'SafeCheckpointHook',
    'SamplePictureHook',
    'SaveUNetHook',
    'init_cpu_distributed',
    'leave_cpu_distributed',
]
