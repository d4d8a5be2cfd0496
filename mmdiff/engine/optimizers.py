"""Optimizers."""

from collections.abc import Iterable

import torch

from mmdiff.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class FusedAdamW(torch.optim.AdamW):
    """AdamW that updates all weights on a GPU in one kernel, as PyTorch's ``fused=True``.

    There, the loss scaler of ``--amp`` leaves its division to the kernel too.
    Elsewhere it is PyTorch's default, whose checkpoints are the same.

    Args:
        params (Iterable): Parameters, or groups of them, as of PyTorch's.
        **kwargs: Further arguments of PyTorch's.
    """

    def __init__(self, params: Iterable, **kwargs):
        groups = list(params)
        tensors = [
            tensor
            for group in groups
            for tensor in (group['params'] if isinstance(group, dict) else [group])
        ]
        on_gpu = all(tensor.is_cuda for tensor in tensors)
        super().__init__(groups, **dict(fused=on_gpu or None) | kwargs)
