"""What PyTorch's versions call differently, from 2.1 on: the only place that asks for one."""

import _compat_pickle
import codecs
import io
import pickle
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from inspect import signature
from os import PathLike
from types import SimpleNamespace
from typing import Any

import torch


def autocast_dtype(device_type: str) -> torch.dtype | None:
    """What autocast computes in on a device.

    Args:
        device_type (str): Such as ``'cuda'``.

    Returns:
        torch.dtype | None: The type, or None where autocast is off.
    """
    if hasattr(torch, 'get_autocast_dtype'):
        enabled = torch.is_autocast_enabled(device_type)
        return torch.get_autocast_dtype(device_type) if enabled else None
    if device_type == 'cpu':
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None


def has_custom_operators() -> bool:
    """Whether an operator can be written in Python (from 2.4 on), such as a Triton kernel's."""
    return hasattr(torch.library, 'custom_op')


def can_shard_without_gpu() -> bool:
    """Whether FSDP works on a CPU: older ones ask for a stream there, which 2.1 has not."""
    return 'priority' in signature(torch.cpu.Stream).parameters


def is_compiling() -> bool:
    """Whether ``torch.compile`` or ``torch.export`` looks on."""
    if hasattr(torch.compiler, 'is_compiling'):
        return torch.compiler.is_compiling()
    return torch._dynamo.is_compiling()


def can_export() -> bool:
    """Whether PyTorch can export a graph of any batch size to ONNX."""
    return hasattr(torch.compiler, 'is_exporting')


def is_exporting() -> bool:
    """Whether ``torch.export`` is tracing, whose graph must hold for any size."""
    return can_export() and torch.compiler.is_exporting()


def load_weights_only(
    path: str | PathLike,
    map_location: str | torch.device | Callable | None,
    mmap: bool,
    allowed: Sequence[Callable | tuple[Callable, str]],
) -> Any:
    """``torch.load`` of weights, and of what is allowed besides.

    Args:
        path (str | PathLike): The file.
        map_location: As of ``torch.load``.
        mmap (bool): Likewise.
        allowed (Sequence[Callable | tuple[Callable, str]]): As of
            ``torch.serialization.safe_globals``.

    Returns:
        Any: The content.

    Raises:
        pickle.UnpicklingError: If the file names anything else.
    """
    if hasattr(torch.serialization, 'safe_globals'):
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    # Before 2.5, weights_only has a list that cannot be added to.
    if _is_torchscript(path):
        raise pickle.UnpicklingError('GLOBAL TorchScript was not an allowed global')
    return torch.load(
        str(path), map_location=map_location, pickle_module=_pickle_of(allowed), mmap=mmap
    )


def _is_torchscript(path: str | PathLike) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any(name.endswith('/constants.pkl') for name in file.namelist())


def _pickle_of(allowed: Sequence[Callable | tuple[Callable, str]]) -> SimpleNamespace:
    """A pickle module whose files can name weights, and what is allowed besides."""
    from torch._weights_only_unpickler import _get_allowed_globals

    # Newer lists have these, with which arrays and schedules are written.
    known = {
        **_get_allowed_globals(),
        '_codecs.encode': codecs.encode,
        'collections.Counter': Counter,
    }
    for entry in allowed:
        value, name = entry if isinstance(entry, tuple) else (entry, _name_of(entry))
        known[name] = value

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            # Pickles of protocol 2 have Python 2's names.
            module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
            if f'{module}.{name}' not in known:
                raise pickle.UnpicklingError(f'GLOBAL {module}.{name} was not an allowed global')
            return known[f'{module}.{name}']

    def load(file, **kwargs):
        return Unpickler(file, **kwargs).load()

    return SimpleNamespace(
        __name__='weights only',
        Unpickler=Unpickler,
        load=load,
        loads=lambda data, **kwargs: load(io.BytesIO(data), **kwargs),
    )


def _name_of(value: Callable) -> str:
    return f'{value.__module__}.{value.__qualname__}'
