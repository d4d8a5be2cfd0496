"""How the process gets its memory."""

import ctypes
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Have glibc's malloc keep what is freed, for the next tensor of this process.

    By default it gives large blocks back to the kernel at once, which hands
    out zeroed pages, one by one, for the next feature map; that takes longer
    than to normalise one (docs/performance.md). The process then holds its
    peak memory to its end. It matters to tensors on the CPU only, and not
    where another allocator is preloaded, such as jemalloc.

    Returns:
        bool: Whether it was done: False where the C library is another one.
    """
    mallopt = _of_glibc('mallopt')
    return bool(mallopt and mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def give_back_freed_memory() -> bool:
    """Have glibc's malloc give back what is freed and kept, once.

    Returns:
        bool: Whether some was given back.
    """
    malloc_trim = _of_glibc('malloc_trim')
    return bool(malloc_trim and malloc_trim(0))


def _of_glibc(function: str) -> Callable | None:
    try:
        return getattr(ctypes.CDLL('libc.so.6'), function)
    except (OSError, AttributeError):
        return None
