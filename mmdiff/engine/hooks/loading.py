"""What a run starts from: it fits the model, and a resume says what it changes."""

import logging

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper

from mmdiff.engine.resuming import changed_settings, check_is_run, follow_config
from mmdiff.engine.unwrapping import unwrapped
from mmdiff.engine.weights_only import check_mostly_fits, check_run_fits
from mmdiff.engine.work_dirs import resumed_from
from mmdiff.registry import HOOKS


@HOOKS.register_module()
class LoadingHook(Hook):
    """Check the checkpoint that a run loads, and let a resume follow the config.

    ``load_from`` may leave out a head of other classes, but not most of the
    weights. A resume needs all of them, and the state of the run. It goes on
    with the optimizer's averages of the checkpoint, but with the settings of
    the optimizer and the schedule of the config, as if the run had had them
    from its beginning: so a run that is done goes on with a longer schedule.
    What differs is logged.
    """

    # Before EMAHook, which loads what it finds.
    priority = 'ABOVE_NORMAL'

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check a checkpoint, before its weights become the model's.

        Args:
            runner (Runner): The run.
            checkpoint (dict): As of :func:`mmdiff.engine.weights_only.load_run`.

        Raises:
            CheckpointError: If it does not fit.
        """
        source = resumed_from(runner)
        if source is not None:
            self._resume(runner, checkpoint, str(source))
        else:
            source = str(runner.cfg.get('load_from'))
            counts = check_mostly_fits(checkpoint['state_dict'], _expected(runner), source)
            print_log(counts, logger='current')

    def _resume(self, runner, checkpoint: dict, source: str) -> None:
        check_is_run(checkpoint, source)
        check_run_fits(runner.model, checkpoint['state_dict'], source, _expected(runner))
        meta = checkpoint['meta']
        # MMEngine would run it as code; it writes 'cfg'.
        meta.pop('config', None)
        changes = [changed_settings(meta['cfg'], runner.cfg.pretty_text)] if 'cfg' in meta else []
        # Several optimizers go on as they were.
        if isinstance(runner.optim_wrapper, OptimWrapper):
            schedulers = runner.param_schedulers or []
            changes += follow_config(checkpoint, runner.optim_wrapper, schedulers, source)
        if any(changes):
            text = '\n'.join(filter(None, changes))
            print_log(f'The resumed run differs from {source}:\n{text}', logger='current')
        done, end = meta['iter'], runner.max_iters
        if done >= end:
            print_log(
                f'{source} has done {done} of {end} iterations: nothing is left to train. For '
                'more, raise train_cfg and the ends in param_scheduler',
                logger='current',
                level=logging.WARNING,
            )


def _expected(runner) -> dict:
    """The weights that the model has, not gathered where they are sharded."""
    strategy = getattr(runner, 'strategy', None)
    if hasattr(strategy, 'expected'):
        return strategy.expected
    return unwrapped(runner.model).state_dict()
