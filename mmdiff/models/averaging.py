"""Averaged weights."""

import torch
from mmengine.model import MomentumAnnealingEMA
from torch import nn

from mmdiff.registry import MODELS


@MODELS.register_module()
class FusedEMA(MomentumAnnealingEMA):
    """MMEngine's ``MomentumAnnealingEMA``, of all weights at once.

    MMEngine's asks the GPU how many steps there were, and waits, for each
    weight. The averages and the checkpoints are the same.

    Args:
        model (Module): The model to be averaged.
        **kwargs: As of ``MomentumAnnealingEMA``; buffers are copied.

    Raises:
        ValueError: If ``update_buffers`` is True.
    """

    def __init__(self, model: nn.Module, **kwargs):
        super().__init__(model, **kwargs)
        if self.update_buffers:
            raise ValueError(
                'update_buffers must be False, as buffers are copied; to average them, take '
                "ema_type='MomentumAnnealingEMA'"
            )
        # A copy of the buffer ``steps`` where no GPU has to be asked; None if it is not known.
        self.num_steps = 0

    def update_parameters(self, model: nn.Module) -> None:
        """Average in a model's weights.

        Args:
            model (Module): The model.
        """
        if self.num_steps is None:
            self.num_steps = int(self.steps)
        sources = dict(model.named_parameters())
        averages = [average.data for average in self.avg_parameters.values()]
        sources = [
            sources[name].data.to(average.device)
            for name, average in zip(self.avg_parameters, averages, strict=True)
        ]
        if self.num_steps == 0:
            torch._foreach_copy_(averages, sources)
        elif self.num_steps % self.interval == 0:
            momentum = max(self.momentum, self.gamma / (self.gamma + self.num_steps))
            torch._foreach_lerp_(averages, sources, momentum)
        for average, source in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(source)
        self.num_steps += 1
        self.steps += 1

    def _load_from_state_dict(self, *args) -> None:
        super()._load_from_state_dict(*args)
        self.num_steps = None
