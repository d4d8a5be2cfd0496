"""A progress bar for training and testing."""

from contextlib import ExitStack

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mmdiff.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Show how far training or a test is, with the time left and the current loss.

    Log lines are printed above the bar. Only the main process shows one.
    """

    # After LoggerHook, which otherwise would find the bar in its line.
    priority = 'LOWEST'

    def __init__(self):
        self._bars = ExitStack()
        self._bar = None

    def _open(self, runner, description, total, initial=0):
        if is_main_process():
            self._bars.enter_context(logging_redirect_tqdm([runner.logger]))
            self._bar = self._bars.enter_context(
                tqdm(desc=description, total=total, initial=initial, mininterval=1)
            )

    def _close(self):
        self._bars.close()
        self._bar = None

    def before_train(self, runner):
        """Open the bar at the iteration where the run goes on."""
        self._open(runner, 'train', runner.max_iters, runner.iter)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Move the bar on."""
        if self._bar is not None:
            if outputs and 'loss' in outputs:
                self._bar.set_postfix(loss=f'{outputs["loss"].item():.3f}', refresh=False)
            self._bar.update()

    def after_train(self, runner):
        """Close the bar."""
        self._close()

    def before_test(self, runner):
        """Open the bar."""
        self._open(runner, 'test', len(runner.test_dataloader))

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Move the bar on."""
        if self._bar is not None:
            self._bar.update()

    def after_test(self, runner):
        """Close the bar."""
        self._close()
