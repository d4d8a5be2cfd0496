from . import stack as stack  # noqa: I001  (refuses a broken stack before anything needs it)
from .version import __version__

__all__ = ['__version__']
