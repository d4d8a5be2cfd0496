"""A part of the model as a file of its own."""

import os
from pathlib import Path

import torch
from mmengine.hooks import Hook

from mmdiff.registry import HOOKS
from mmdiff.utils import check_choice


@HOOKS.register_module()
class SavePartHook(Hook):
    """Write the weights of a part of the model with each checkpoint, for other runs to start from.

    A plain state dict, with names as of the part alone, of the averaged
    weights where MMEngine's ``EMAHook`` keeps them. It is replaced at once, so
    that a killed run leaves a whole one.

    Args:
        part (str): The part's name in the model, e.g. ``'student'``.
        file (str): Name of the file in the work dir, e.g. ``'student.pth'``.
        dtype (str): ``'float32'`` or ``'float16'``, which halves the file.
            Defaults to ``'float32'``.
        keep_every (int, optional): Of the checkpoints at multiples of so many
            iterations, also keep the weights as e.g. ``student_iter_N.pth``, to
            compare features over training time. Defaults to None: of none.

    Raises:
        ValueError: If ``dtype`` or ``keep_every`` is not one of these.
    """

    # After EMAHook, which puts the averaged weights into the checkpoint.
    priority = 'LOWEST'

    def __init__(self, part: str, file: str, dtype: str = 'float32', keep_every: int | None = None):
        check_choice('dtype', dtype, ('float32', 'float16'))
        if keep_every is not None and keep_every < 1:
            raise ValueError(f'keep_every must be None or at least 1, got {keep_every!r}')
        self.prefix = f'{part}.'
        self.file = Path(file)
        self.dtype = getattr(torch, dtype)
        self.keep_every = keep_every

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Write the file.

        Args:
            runner (Runner): Says where.
            checkpoint (dict): What is about to be saved.
        """
        weights = {
            key.removeprefix(self.prefix): value.to('cpu', self._dtype_of(value))
            for key, value in checkpoint['state_dict'].items()
            if key.startswith(self.prefix)
        }
        iteration = checkpoint['meta']['iter']
        names = [self.file.name]
        if self.keep_every and iteration % self.keep_every == 0:
            names.append(f'{self.file.stem}_iter_{iteration}{self.file.suffix}')
        for name in names:
            path = Path(runner.work_dir) / name
            partial = path.with_name(f'{name}.partial')
            torch.save(weights, partial)
            os.replace(partial, path)

    def _dtype_of(self, value: torch.Tensor) -> torch.dtype:
        # Batch norm counts its batches in integers.
        return self.dtype if value.is_floating_point() else value.dtype


@HOOKS.register_module()
class SaveUNetHook(SavePartHook):
    """Write ``unet.pt`` with each checkpoint, in guided-diffusion's format.

    ``init_cfg`` of the backbones, and guided-diffusion itself, load it.

    Args:
        dtype (str): As of :class:`SavePartHook`.
        keep_every (int, optional): As of :class:`SavePartHook`.
    """

    def __init__(self, dtype: str = 'float32', keep_every: int | None = None):
        super().__init__('unet', 'unet.pt', dtype, keep_every)
