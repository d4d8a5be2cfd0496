"""Training beside other processes."""

from contextlib import ExitStack

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import cuda

from mmdiff.registry import HOOKS
from mmdiff.utils import FreeCores


@HOOKS.register_module()
class FreeCoresHook(Hook):
    """On a CPU, train with as many threads as cores are free, see :class:`mmdiff.utils.FreeCores`.

    Sums of other numbers of threads are rounded otherwise: set
    ``OMP_NUM_THREADS`` for runs that are to repeat to the last bit on a machine
    that is used otherwise, too.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at the machine.

        Args:
            runner (Runner): Not used.
        """
        self.free_cores = None if cuda.is_available() else FreeCores()
        self.iteration = ExitStack()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """An iteration begins.

        Args:
            runner (Runner): Not used.
            batch_idx (int): Not used.
            data_batch (dict, optional): Not used.
        """
        if self.free_cores is not None:
            self.iteration.enter_context(self.free_cores.adapted())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """It ends: set the number of threads.

        Args:
            runner (Runner): Not used.
            batch_idx (int): Not used.
            data_batch (dict, optional): Not used.
            outputs (dict, optional): Not used.
        """
        self.iteration.close()
