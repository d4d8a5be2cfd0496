"""The memory layout of maps and weights, which belongs to the device."""

from functools import cache
from importlib.util import find_spec

import torch

from ...torch_compat import has_custom_operators


@cache
def has_norm_kernels(device_type: str) -> bool:
    """Whether there are norm kernels for channels_last maps, see ``norm_kernels.py``.

    Args:
        device_type (str): Such as ``'cuda'``.

    Returns:
        bool: True on a GPU, where Triton is installed and PyTorch takes
        operators of ours.
    """
    return device_type == 'cuda' and find_spec('triton') is not None and has_custom_operators()


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout in which a U-Net runs, so that nothing is converted on the way.

    Args:
        device (torch.device): Where it runs.

    Returns:
        torch.memory_format: channels_last on a CPU (docs/performance.md), and
        where the norm has kernels for it; NCHW elsewhere, as PyTorch's norm
        there has no other.
    """
    # What is built on the meta device goes to the CPU first.
    if device.type in ('cpu', 'meta') or has_norm_kernels(device.type):
        return torch.channels_last
    return torch.contiguous_format
