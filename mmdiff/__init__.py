from . import stack  # refuses a broken installation before anything needs it
from .version import __version__

__all__ = ['__version__', 'stack']
