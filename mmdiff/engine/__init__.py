from .distributed import init_cpu_distributed
from .hooks import ProgressBarHook, SamplePictureHook, SaveUNetHook

__all__ = ['ProgressBarHook', 'SamplePictureHook', 'SaveUNetHook', 'init_cpu_distributed']
