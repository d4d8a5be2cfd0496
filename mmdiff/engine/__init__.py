from .distributed import (
    init_cpu_distributed,
    init_tool_distributed,
    leave_cpu_distributed,
    main_process_first,
)
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
    SavePartHook,
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
    'SavePartHook',
    'SaveUNetHook',
    'init_cpu_distributed',
    'init_tool_distributed',
    'leave_cpu_distributed',
    'main_process_first',
]
