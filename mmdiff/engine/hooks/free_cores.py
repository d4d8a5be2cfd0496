"""Training beside other processes."""

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

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Set the number of threads.

        Args:
            runner (Runner): Not used.
            batch_idx (int): Not used.
            data_batch (dict, optional): Not used.
        """
        if self.free_cores is not None:
            self.free_cores.adapt()
