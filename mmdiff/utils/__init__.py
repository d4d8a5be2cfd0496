from .download import local_file
from .memory import keep_freed_memory

__all__ = ['keep_freed_memory', 'local_file']
