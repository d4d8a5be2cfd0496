from .distributed import init_cpu_distributed
from .hooks import ProgressBarHook

__all__ = ['ProgressBarHook', 'init_cpu_distributed']
