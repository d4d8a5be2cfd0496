"""Validation that a run was killed in."""

from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmdiff.registry import HOOKS
from mmdiff.utils import validated_steps


@HOOKS.register_module()
class MissedValidationHook(Hook):
    """Validate first where a resumed run has no scores of its checkpoint.

    MMEngine saves a checkpoint before it validates, so that a run that is
    killed in between would go on without scores of that iteration, and a run
    that was at its end would never have any.
    """

    # As if the training iteration, with all hooks, had just ended.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Validate if it is due and the logs of the work dir lack it.

        Args:
            runner (Runner): The runner.
        """
        loop = runner.train_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        done, end = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
        if runner.val_loop is None or not max(1, loop.val_begin) <= done <= end:
            return
        if done % loop.val_interval and done != end:
            return
        # Runs of epochs may log iterations, too.
        logs_epochs = all(getattr(hook, 'log_metric_by_epoch', True) for hook in runner.hooks)
        step = loop.epoch if logs_epochs else loop.iter
        # The other processes may be on machines that do not see the folder.
        missed = [is_main_process() and step not in validated_steps(Path(runner.work_dir))]
        broadcast_object_list(missed)
        if missed[0]:
            unit = 'epoch' if by_epoch else 'iteration'
            runner.logger.info(f'The logs have no scores of {unit} {done}: validate')
            runner.val_loop.run()
