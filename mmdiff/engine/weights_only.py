"""Checkpoints of runs, loaded without running code that is in them."""

from mmengine.model import is_model_wrapper
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmdiff.diffusion import CheckpointError, check_fit, load_safely
from mmdiff.utils import LOGS, local_file


def load_run(filename: str, map_location=None) -> dict:
    """Load the checkpoint of a run, for ``--resume`` and ``tools/test.py``.

    MMEngine's own loader, whose place this takes, runs the code in a file
    that is more than weights.

    Args:
        filename (str): As of :func:`mmdiff.utils.local_file`.
        map_location: As of ``torch.load``. Defaults to None.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        ConnectionError: If a download fails.
        CheckpointError: If the file is truncated, is not a PyTorch file, or
            holds more than weights and logs.
    """
    return load_safely(local_file(str(filename)), map_location, allowed=LOGS)


def check_run_fits(model: nn.Module, state_dict: dict[str, Tensor], source: str) -> None:
    """Refuse the checkpoint of another model.

    MMEngine would load what fits, warn, and go on with random weights.

    Args:
        model (nn.Module): The model, in a wrapper or not. Where the model
            converts what it loads, it gets the weights.
        state_dict (dict[str, Tensor]): The checkpoint's weights.
        source (str): Where they came from, for the message.

    Raises:
        CheckpointError: If they are not those of the model, after what it does
            itself to weights that it loads, such as resizing.
    """
    if is_model_wrapper(model):
        model = model.module
    # As MMEngine does.
    state_dict = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    expected = model.state_dict()
    try:
        check_fit(state_dict, expected, expected, source, "config's model")
    except CheckpointError as misfit:
        try:
            model.load_state_dict(state_dict)
        except RuntimeError:
            # PyTorch's message names every weight.
            raise misfit from None


def load_runs_as_weights_only() -> None:
    """Make MMEngine load checkpoints with :func:`load_run`, also those that URLs name.

    Left to MMEngine are names such as ``torchvision://resnet50``, which stand
    for files of those projects.
    """
    CheckpointLoader.register_scheme(('', 'http://', 'https://'), loader=load_run, force=True)
