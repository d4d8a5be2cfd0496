from .download import local_file

__all__ = ['local_file']
