"""Models whose weights all come from the files that their ``init_cfg`` names."""

from torch import nn

from mmdiff.diffusion import CheckpointError
from mmdiff.engine.unwrapping import unwrapped
from mmdiff.models.backbones.diffeed import DifFeedMixin


def is_pretrained(module: nn.Module) -> bool:
    """Whether ``init_cfg`` names weights for all that a module has, in one or in parts.

    Args:
        module (nn.Module): The module.

    Returns:
        bool: Whether it does.
    """
    if isinstance(module, DifFeedMixin):
        # The layers of its feedback are in no published file.
        return False
    init_cfg = getattr(module, 'init_cfg', None) or []
    settings = [init_cfg] if isinstance(init_cfg, dict) else init_cfg
    if any(setting['type'] == 'Pretrained' for setting in settings):
        return True
    own = next(module.parameters(recurse=False), None)
    return own is None and all(map(is_pretrained, module.children()))


def load_pretrained(module: nn.Module, name: str = 'model') -> None:
    """Let each part of a module load the weights that its ``init_cfg`` names.

    Args:
        module (nn.Module): The model or a part of it, in a wrapper or not.
        name (str): Its name in the config, for messages. Defaults to
            ``'model'``.

    Raises:
        SystemExit: If a part would have random weights, or a file does not
            fit.
    """
    module = unwrapped(module)
    if not is_pretrained(module):
        parts = [f'{name}.{n}' for n, part in module.named_children() if not is_pretrained(part)]
        raise SystemExit(
            f'checkpoint: none given, and {", ".join(parts) or name} would have random weights: '
            "no init_cfg=dict(type='Pretrained', checkpoint=...) names others. Give the checkpoint "
            'that tools/train.py wrote'
        )
    try:
        module.init_weights()
    except (CheckpointError, OSError, ValueError) as error:
        raise SystemExit(f'init_cfg: {error}') from None
