"""Optimizers."""

from collections.abc import Iterable

import torch

from mmdiff.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class FusedAdamW(torch.optim.AdamW):
    """AdamW that updates all weights on a GPU in one kernel, as PyTorch's ``fused=True``.

    There, the loss scaler of ``--amp`` leaves its division to the kernel too.
    Elsewhere it is PyTorch's default, whose checkpoints are the same: a run may
    go on with or without a GPU, whichever it began with.

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

    def load_state_dict(self, state_dict: dict) -> None:
        """Take the state, and stay fused or not.

        PyTorch's takes that from the state: of a run without GPU, it asks the loss
        scaler for what only the kernel can do, and fails.

        Args:
            state_dict (dict): As of PyTorch's.
        """
        fused = self.defaults['fused']
        groups = [group | dict(fused=fused) for group in state_dict['param_groups']]
        super().load_state_dict(state_dict | dict(param_groups=groups))
