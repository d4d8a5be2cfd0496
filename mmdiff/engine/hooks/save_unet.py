"""The U-Net of a diffusion model as a file of its own."""

import os
from pathlib import Path

import torch
from mmengine.hooks import Hook

from mmdiff.registry import HOOKS


@HOOKS.register_module()
class SaveUNetHook(Hook):
    """Write ``unet.pt`` with each checkpoint, in guided-diffusion's format.

    A plain state dict, of the averaged weights where MMEngine's ``EMAHook``
    keeps them; ``init_cfg`` of the backbones, and guided-diffusion itself,
    load it. It is replaced at once, so that a killed run leaves a whole one.

    Args:
        dtype (str): ``'float32'`` or ``'float16'``, which halves the file.
            Defaults to ``'float32'``.

    Raises:
        ValueError: If ``dtype`` is another.
    """

    # After EMAHook, which puts the averaged weights into the checkpoint.
    priority = 'LOWEST'

    def __init__(self, dtype: str = 'float32'):
        if dtype not in ('float32', 'float16'):
            raise ValueError(f"dtype must be 'float32' or 'float16', got {dtype!r}")
        self.dtype = getattr(torch, dtype)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Write the file.

        Args:
            runner (Runner): Says where.
            checkpoint (dict): What is about to be saved.
        """
        weights = {
            key.removeprefix('unet.'): value.to('cpu', self.dtype)
            for key, value in checkpoint['state_dict'].items()
            if key.startswith('unet.')
        }
        path = Path(runner.work_dir) / 'unet.pt'
        partial = path.with_suffix('.pt.partial')
        torch.save(weights, partial)
        os.replace(partial, path)
