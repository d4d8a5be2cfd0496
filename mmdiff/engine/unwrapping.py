"""The model of a config, out of what a run wraps around it."""

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """Take a model out of its wrappers: of distributed runs, and of test-time augmentation.

    Args:
        model (Module): A run's model.

    Returns:
        Module: The config's.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
