"""Stop a run that has diverged, before its weights take the place of sound ones."""

from collections.abc import Iterable
from itertools import chain

import torch
from mmengine.hooks import Hook
from mmengine.runner import find_latest_checkpoint
from torch import Tensor

from mmdiff.registry import HOOKS
from mmdiff.utils import check_int


class DivergedError(RuntimeError):
    """Losses or weights of a run are no longer finite."""


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Stop a run whose losses or weights are not finite.

    Losses are compared where they were computed, so that a GPU is not waited
    for, and the result is read now and then. Weights are looked at before
    they are validated or saved: none that are not finite are ranked or
    written, and the last sound checkpoint stays.

    Args:
        interval (int): Iterations between two readings. Defaults to 50, that
            of the log.
        patience (int): How many iterations in a row must have losses that are
            not finite to stop a run with a loss scaler (``--amp``), which
            skips such steps. Any other run stops at the first. Defaults to
            20.

    Raises:
        TypeError: If an argument is not an int.
        ValueError: If it is less than 1.
    """

    def __init__(self, interval: int = 50, patience: int = 20):
        check_int('interval', interval)
        check_int('patience', patience)
        self.interval = interval
        self.patience = patience
        self._losses: dict[str, Tensor] = {}
        # On the losses' device: iterations in a row that were not finite, and where they began.
        self._streak = self._began = self._diverged = None
        self._exempt: set[str] = set()

    def before_train(self, runner) -> None:
        """Note what is not finite by design, such as a mask of minus infinity.

        Args:
            runner (Runner): The run.
        """
        self._exempt = set(_not_finite(runner.model.named_buffers()))

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Look at the losses.

        Args:
            runner (Runner): The run.
            batch_idx (int): Not used.
            data_batch (dict, optional): Not used.
            outputs (dict, optional): The losses by name.

        Raises:
            DivergedError: If they are not finite.
        """
        self._losses = {
            name: value.detach().reshape(())
            for name, value in (outputs or {}).items()
            # What MMEngine adds up; an accuracy may have nothing to be of.
            if 'loss' in name and isinstance(value, Tensor) and value.numel() == 1
        }
        if not self._losses:
            return
        finite = torch.stack(list(self._losses.values())).isfinite().all()
        if self._streak is None:
            self._streak = torch.zeros_like(finite, dtype=torch.long)
            self._began, self._diverged = self._streak.clone(), self._streak.clone()
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        limit = self.patience if scaler is not None and scaler.is_enabled() else 1
        # As the log counts.
        now = torch.full_like(self._streak, runner.iter + 1)
        self._streak = torch.where(finite, 0, self._streak + 1)
        self._began = torch.where(self._streak == 1, now, self._began)
        stopped = (self._streak >= limit) & (self._diverged == 0)
        self._diverged = torch.where(stopped, self._began, self._diverged)
        if self.every_n_train_iters(runner, self.interval):
            self._read(runner)

    def _read(self, runner) -> None:
        if self._diverged is not None and (iteration := self._diverged.item()):
            names = [name for name, value in self._losses.items() if not value.isfinite()]
            raise _diverged(runner, f'since iteration {iteration}', names or ['losses'])

    def before_val(self, runner) -> None:
        """Refuse to validate, and so to rank, weights that are not finite.

        Args:
            runner (Runner): The run.

        Raises:
            DivergedError: If they are not.
        """
        self._read(runner)
        # Not its state dict, which FSDP would gather.
        model = runner.model
        self._check(runner, chain(model.named_parameters(), model.named_buffers()))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse to save weights that are not finite.

        Args:
            runner (Runner): The run.
            checkpoint (dict): What is to be written.

        Raises:
            DivergedError: If they are not.
        """
        self._read(runner)
        for name in ('state_dict', 'ema_state_dict'):
            self._check(runner, (checkpoint.get(name) or {}).items())

    def after_train(self, runner) -> None:
        """Read the last iterations' losses.

        Args:
            runner (Runner): The run.

        Raises:
            DivergedError: If they are not finite.
        """
        self._read(runner)

    def _check(self, runner, weights: Iterable[tuple[str, Tensor]]) -> None:
        broken = [name for name in _not_finite(weights) if name not in self._exempt]
        if broken:
            raise _diverged(runner, f'by iteration {runner.iter}', broken)


def _not_finite(weights: Iterable[tuple[str, Tensor]]) -> list[str]:
    return [
        # As without a wrapper for distributed training.
        name.removeprefix('module.')
        for name, value in weights
        if value.is_floating_point() and not value.isfinite().all()
    ]


def _diverged(runner, when: str, names: list[str]) -> DivergedError:
    sound = find_latest_checkpoint(runner.work_dir)
    more = f' and {len(names) - 4} more' if len(names) > 4 else ''
    return DivergedError(
        f'the run has diverged: not finite {when} are {", ".join(names[:4])}{more}. '
        + (f'{sound} is sound, and nothing was saved since. ' if sound else 'Nothing was saved. ')
        + 'Lower optim_wrapper.optimizer.lr, warm up for longer, or clip gradients '
        '(optim_wrapper.clip_grad)'
    )
