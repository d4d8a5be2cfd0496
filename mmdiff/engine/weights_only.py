"""Checkpoints of runs, loaded without running code that is in them."""

from collections.abc import Mapping
from pathlib import Path

from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmdiff.diffusion import CheckpointError, check_fit, find_state_dict, load_safely
from mmdiff.engine.unwrapping import unwrapped
from mmdiff.engine.work_dirs import checkpoints_in
from mmdiff.utils import LOGS, local_file


def load_run(filename: str, map_location=None) -> dict:
    """Load the checkpoint of a run, for ``--resume`` and ``tools/test.py``.

    MMEngine's own loader, whose place this takes, runs the code in a file
    that is more than weights.

    Args:
        filename (str): As of :func:`mmdiff.utils.local_file`.
        map_location: As of ``torch.load``. Defaults to None.

    Returns:
        dict: The checkpoint, with the model's weights in ``'state_dict'``, also
        where they are all that the file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ConnectionError: If a download fails.
        CheckpointError: If the file is truncated, is no checkpoint, or holds
            more than weights and logs.
    """
    path = local_file(str(filename))
    try:
        content = load_safely(path, map_location, allowed=LOGS)
    except CheckpointError as error:
        others = [name for name in checkpoints_in(Path(path).parent) if name != Path(path).name]
        hint = f'. Beside it are {", ".join(others)}' if others else ''
        raise CheckpointError(f'{error}{hint}') from error
    if isinstance(content, Mapping) and isinstance(content.get('state_dict'), Mapping):
        return content
    return dict(state_dict=find_state_dict(content, path))


def check_run_fits(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str,
    expected: Mapping[str, Tensor] | None = None,
) -> None:
    """Refuse the checkpoint of another model.

    MMEngine would load what fits, warn, and go on with random weights.

    Args:
        model (nn.Module): The model, in a wrapper or not. Where the model
            converts what it loads, it gets the weights.
        state_dict (Mapping[str, Tensor]): The checkpoint's weights.
        source (str): Where they came from, for the message.
        expected (Mapping[str, Tensor], optional): The model's weights, where
            they are sharded. Defaults to None: what its state dict has.

    Raises:
        CheckpointError: If they are not those of the model, after what it does
            itself to weights that it loads, such as resizing.
    """
    model = unwrapped(model)
    # As MMEngine does.
    state_dict = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    expected = model.state_dict() if expected is None else expected
    try:
        check_fit(state_dict, expected, expected, source, "config's model")
    except CheckpointError as misfit:
        try:
            model.load_state_dict(state_dict)
        except RuntimeError:
            # PyTorch's message names every weight.
            raise CheckpointError(f'{misfit}{_renaming(state_dict, expected)}') from None


def check_mostly_fits(
    state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str
) -> str:
    """Refuse weights to start from that hardly fit.

    Of another head, some do not fit, and MMEngine leaves them out. Of another
    layout, it would leave out all, and train from random weights.

    Args:
        state_dict (Mapping[str, Tensor]): The weights.
        expected (Mapping[str, Tensor]): The model's.
        source (str): Where they came from, for the message.

    Returns:
        str: How many fit, for the log.

    Raises:
        CheckpointError: If fewer than half of the weights fit, of the file's
            or of the model's, whichever are fewer. The message names what the
            keys would have to begin with.
    """
    state_dict = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    fitting = _num_fitting(state_dict, expected)
    counts = (
        f"{fitting} of the {len(state_dict)} weights in {source} fit the config's model, which has "
        f'{len(expected)}'
    )
    if fitting < min(len(state_dict), len(expected)) / 2:
        keys = ', '.join([*state_dict][:3])
        raise CheckpointError(
            f'only {counts}. Keys in the file: {keys}, ...{_renaming(state_dict, expected)}'
        )
    return counts


def _num_fitting(state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> int:
    return sum(
        key in expected and value.shape == expected[key].shape for key, value in state_dict.items()
    )


def _renaming(state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Which beginning of the keys would make most weights fit, and how to have it."""
    best, most = None, _num_fitting(state_dict, expected)
    for old in _beginnings(state_dict):
        for new in _beginnings(expected):
            renamed = {
                new + key.removeprefix(old): v
                for key, v in state_dict.items()
                if key.startswith(old)
            }
            if (fitting := _num_fitting(renamed, expected)) > most:
                best, most = (old, new), fitting
    if best is None:
        return ''
    old, new = best
    return (
        f'. {most} weights fit with {new!r} in place of {old!r}: torch.save({{{new!r} + '
        f'key.removeprefix({old!r}): value for key, value in weights.items()}}, FILE)'
    )


def _beginnings(keys: Mapping[str, Tensor]) -> list[str]:
    """What keys begin with, up to their second dot."""
    found = {'': None}
    for key in keys:
        first, *rest = key.split('.')
        if rest:
            found[f'{first}.'] = None
        if len(rest) > 1:
            found[f'{first}.{rest[0]}.'] = None
    return [*found]


def load_runs_as_weights_only() -> None:
    """Make MMEngine load checkpoints with :func:`load_run`, also those that URLs name.

    Left to MMEngine are names such as ``torchvision://resnet50``, which stand
    for files of those projects.
    """
    CheckpointLoader.register_scheme(('', 'http://', 'https://'), loader=load_run, force=True)
