"""What a resumed run takes from its config rather than from the checkpoint."""

import difflib
import warnings
from collections.abc import Iterable

from mmengine.optim import OptimWrapper, ReduceOnPlateauParamScheduler, _ParamScheduler

from mmdiff.diffusion import CheckpointError

# What of a scheduler's state is how far it is, not what it was told.
PROGRESS = ('last_step', '_global_step', '_last_value', 'verbose')
# Settings that a resume changes by itself.
OWN_SETTINGS = ('work_dir', 'load_from', 'resume', 'launcher')


def check_is_run(checkpoint: dict, source: str) -> None:
    """Refuse to resume from weights alone.

    Args:
        checkpoint (dict): The checkpoint.
        source (str): Where it came from, for the message.

    Raises:
        CheckpointError: If it has no state of the run or of the optimizer.
    """
    missing = [key for key in ('meta', 'message_hub', 'optimizer') if key not in checkpoint]
    if missing:
        raise CheckpointError(
            f'{source} has no {", ".join(missing)}, without which a run cannot be resumed: name '
            'a checkpoint such as iter_1000.pth. To start from its weights, '
            '--cfg-options load_from=FILE without --resume'
        )


def changed_settings(old: str, new: str, most: int = 20) -> str:
    """What differs between two configs.

    Args:
        old (str): The text of a config.
        new (str): The text of another.
        most (int): How many lines to give. Defaults to 20.

    Returns:
        str: The lines that differ, with ``-`` or ``+`` before them. Empty if
        there are none.
    """
    compared = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm='')
    lines = [
        line
        for line in [*compared][2:]
        if not line.startswith('@@') and not line[1:].startswith(OWN_SETTINGS)
    ]
    more = [f'and {len(lines) - most} more'] if len(lines) > most else []
    return '\n'.join(lines[:most] + more)


def follow_config(
    checkpoint: dict, wrapper: OptimWrapper, schedulers: list[_ParamScheduler], source: str
) -> list[str]:
    """Let the optimizer's settings and the schedule of a resumed run be the config's.

    They become what they would be now, had the run had the config from its
    beginning. The optimizer's averages stay the checkpoint's.

    Args:
        checkpoint (dict): The run's checkpoint, changed in place.
        wrapper (OptimWrapper): The config's optimizer, which has not stepped
            yet. Where the schedule has changed, it and ``schedulers`` are
            stepped.
        schedulers (list[_ParamScheduler]): The config's schedule.
        source (str): Where the checkpoint came from, for messages.

    Returns:
        list[str]: What differs from the checkpoint.

    Raises:
        CheckpointError: If the checkpoint is of another optimizer, or other
            parameters are trained.
    """
    stored = checkpoint['optimizer']
    _check_same_optimizer(wrapper.optimizer.param_groups, stored['param_groups'], source)
    ours, theirs = wrapper.param_groups, [*stored['param_groups']]
    if wrapper.base_param_settings is not None:
        theirs.append(stored['base_param_settings'])
    changes = []
    scheduled = {s.param_name for s in schedulers}
    scheduled |= {f'initial_{name}' for name in scheduled}
    if _settings(s.state_dict() for s in schedulers) != _settings(
        checkpoint.get('param_schedulers', ())
    ):
        if any(isinstance(s, ReduceOnPlateauParamScheduler) for s in schedulers):
            changes.append(
                'param_scheduler: has changed, but depends on scores: it stays as in the checkpoint'
            )
        else:
            replay(schedulers, checkpoint['meta']['epoch'], checkpoint['meta']['iter'])
            checkpoint['param_schedulers'] = [s.state_dict() for s in schedulers]
            scheduled = set()
            changes.append("param_scheduler: the config's, as if the run had had it from the start")
    differing = {}
    for group, old in zip(ours, theirs, strict=True):
        for key in group.keys() - scheduled - {'params'}:
            if key in old and old[key] != group[key]:
                differing.setdefault(key, (old[key], group[key]))
            old[key] = group[key]
    for key, (old, new) in sorted(differing.items()):
        name = key.replace('initial_', 'before the schedule, ')
        changes.append(f'{name}: {new}, was {old}')
    return changes


def _check_same_optimizer(ours: list[dict], theirs: list[dict], source: str) -> None:
    added, removed = ours[0].keys() - theirs[0].keys(), theirs[0].keys() - ours[0].keys()
    added, removed = ({k for k in s if not k.startswith('initial_')} for s in (added, removed))
    if added and removed:
        raise CheckpointError(
            f'{source} is of another optimizer: its settings are {_names(theirs[0])}, those of '
            f"the config's optim_wrapper.optimizer {_names(ours[0])}. A resume cannot change it: "
            'start from the weights, --cfg-options load_from=FILE without --resume'
        )
    sizes = [[len(group['params']) for group in groups] for groups in (ours, theirs)]
    if sizes[0] != sizes[1]:
        numbers = [f'{sum(of)} parameters in {len(of)} groups' for of in sizes]
        raise CheckpointError(
            f"{source} has an optimizer of {numbers[1]}, the config's is of {numbers[0]}. A resume "
            'cannot change what is trained (frozen, paramwise_cfg): start from the weights, '
            '--cfg-options load_from=FILE without --resume'
        )


def _names(group: dict) -> str:
    return ', '.join(sorted(group.keys() - {'params'}))


def _settings(states: Iterable[dict]) -> list[dict]:
    return [{k: v for k, v in state.items() if k not in PROGRESS} for state in states]


def replay(schedulers: list[_ParamScheduler], epochs: int, iterations: int) -> None:
    """Step schedulers as a run does.

    Args:
        schedulers (list[_ParamScheduler]): Schedulers that have not stepped.
        epochs (int): Epochs that the run has done; 0 if it does not count
            them.
        iterations (int): Iterations that it has done.
    """
    by_epoch = [s for s in schedulers if s.by_epoch]
    by_iteration = [s for s in schedulers if not s.by_epoch]
    with warnings.catch_warnings():
        # PyTorch's order is the optimizer's step first, and here is none.
        warnings.simplefilter('ignore', UserWarning)
        for iteration in range(1, iterations + 1):
            for scheduler in by_iteration:
                scheduler.step()
            if epochs and iteration % (iterations // epochs) == 0:
                for scheduler in by_epoch:
                    scheduler.step()
