"""Random numbers that depend on the iteration, not on what ran before it."""

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mmdiff.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed PyTorch before each training iteration, from the run's seed, the iteration and the rank.

    MMEngine seeds all ranks alike, once, at the start. Without this hook all
    ranks draw the same noise and timesteps, and a resumed run repeats those of
    the first iterations.
    """

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed.

        Args:
            runner (Runner): Has the seed and the iteration.
            batch_idx (int): Not used.
            data_batch (dict, optional): Not used.
        """
        sequence = np.random.SeedSequence([runner.seed, runner.iter, get_rank()])
        torch.manual_seed(int(sequence.generate_state(1, np.uint32)[0]))
