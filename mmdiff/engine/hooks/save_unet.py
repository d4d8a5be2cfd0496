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
        keep_every (int, optional): Of the checkpoints at multiples of so many
            iterations, also keep the U-Net as ``unet_iter_N.pt``, e.g. to
            compare features over training time. Defaults to None: of none.

    Raises:
        ValueError: If an argument is not one of these.
    """

    # After EMAHook, which puts the averaged weights into the checkpoint.
    priority = 'LOWEST'

    def __init__(self, dtype: str = 'float32', keep_every: int | None = None):
        if dtype not in ('float32', 'float16'):
            raise ValueError(f"dtype must be 'float32' or 'float16', got {dtype!r}")
        if keep_every is not None and keep_every < 1:
            raise ValueError(f'keep_every must be None or at least 1, got {keep_every!r}')
        self.dtype = getattr(torch, dtype)
        self.keep_every = keep_every

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
        iteration = checkpoint['meta']['iter']
        names = ['unet.pt']
        if self.keep_every and iteration % self.keep_every == 0:
            names.append(f'unet_iter_{iteration}.pt')
        for name in names:
            path = Path(runner.work_dir) / name
            partial = path.with_suffix('.pt.partial')
            torch.save(weights, partial)
            os.replace(partial, path)
