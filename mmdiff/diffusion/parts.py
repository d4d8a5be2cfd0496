"""Networks of other libraries, of which only some parts are kept."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import torch
from torch import nn


def require_sd(module: str) -> ModuleType:
    """Import a package of the extra ``[sd]``.

    Args:
        module (str): Its name.

    Returns:
        ModuleType: The package.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split('.')[0]:
            raise
        raise ImportError(
            f'{error.name} is not installed, which latent diffusion models and files in the '
            "formats of Stable Diffusion need: pip install 'mmdiff[sd]' (in a clone, "
            "pip install -e '.[sd]')"
        ) from None


def on_meta(build: Callable[..., nn.Module], **kwargs) -> nn.Module:
    """Build a module without memory for its weights.

    Args:
        build (Callable): The class of the module.
        **kwargs: Its arguments.

    Returns:
        Module: On the meta device.
    """
    with torch.device('meta'):
        return build(**kwargs)


def fill(module: nn.Module) -> None:
    """Give the parts that were kept of a module on the meta device memory and random weights.

    Args:
        module (Module): Gets them, on the default device, as its layers
            initialise themselves.
    """
    device = torch.empty(0).device
    module.to_empty(device=device)
    for layer in module.modules():
        if hasattr(layer, 'reset_parameters'):
            layer.reset_parameters()
