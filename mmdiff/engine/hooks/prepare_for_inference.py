"""Faster tests."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.distributed.fsdp import FullyShardedDataParallel

from mmdiff.models import DiffusionBackbone
from mmdiff.registry import HOOKS


@HOOKS.register_module()
class PrepareForInferenceHook(Hook):
    """Prepares diffusion backbones for a test, see their ``prepare_for_inference``.

    For a run that trains nothing afterwards: it ends that weights need
    gradients, and may round them.
    """

    def before_test(self, runner: Runner) -> None:
        """Once the checkpoint is loaded.

        Args:
            runner (Runner): The runner.
        """
        if isinstance(runner.model, FullyShardedDataParallel):
            # Its weights are parts of others.
            return
        for module in runner.model.modules():
            if isinstance(module, DiffusionBackbone):
                module.requires_grad_(False).prepare_for_inference()
