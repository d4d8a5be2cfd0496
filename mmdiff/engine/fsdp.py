"""Training with weights, gradients and optimizer state sharded over the GPUs."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine._strategy import FSDPStrategy as MMEngineFSDPStrategy
from mmengine.device import get_device
from mmengine.dist import is_distributed, is_main_process
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmdiff.diffusion.unet import BlockLayers
from mmdiff.engine.hooks.safe_checkpoint import PARTIAL
from mmdiff.registry import STRATEGIES

# Below, gathering a layer by itself costs more messages than it saves memory.
MIN_LAYER_PARAMETERS = 1_000_000


def wrap_blocks(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """FSDP's policy: each block of the U-Net is a unit, and each large layer elsewhere.

    Only what is called as a module can be one. MMSegmentation calls ``loss``
    of a head, not the head, and attention layers read the weights of their
    projections.

    Args:
        module (nn.Module): The module in question.
        recurse (bool): Whether FSDP asks if to go on inside it, or if to wrap it.
        nonwrapped_numel (int): Its parameters that are in no unit yet.

    Returns:
        bool: The answer.
    """
    is_block = isinstance(module, BlockLayers)
    if recurse:
        return not is_block
    is_layer = type(module) in (nn.Conv2d, nn.Linear)
    return is_block or (is_layer and nonwrapped_numel >= MIN_LAYER_PARAMETERS)


@STRATEGIES.register_module()
class FSDPStrategy(MMEngineFSDPStrategy):
    """MMEngine's FSDP strategy for diffusion U-Nets, with checkpoints as of any other run.

    A checkpoint is one file with whole weights, which ``tools/test.py`` and
    runs without FSDP load; it is written beside the old one and then renamed.
    Beside that, this corrects MMEngine's (0.10): batch norm is synchronised,
    a run can be resumed with PyTorch 2, whose arguments have another order, a
    checkpoint is read into main memory rather than onto each GPU, and the
    strategy also works without a GPU.

    Args:
        model_wrapper (dict, optional): Arguments of MMEngine's
            ``MMFullyShardedDataParallel``. Defaults to None: units are the
            blocks of the U-Net and large layers (:func:`wrap_blocks`).
        **kwargs: Arguments of MMEngine's ``DDPStrategy``, such as
            ``sync_bn='torch'``, and ``activation_checkpointing``.

    Raises:
        ValueError: If the optimizer wrapper has ``clip_grad``: MMEngine would
            clip by the norm of each GPU's shard.
        RuntimeError: If the run is not distributed.
    """

    def __init__(self, *, model_wrapper: dict | None = None, **kwargs):
        wrapper = dict(auto_wrap_policy=wrap_blocks) | (model_wrapper or {})
        on_cpu = get_device() == 'cpu'
        if on_cpu:
            wrapper['device_id'] = torch.device('cpu')
        # Gathered weights are moved to main memory, unless they are there: PyTorch frees the
        # memory that it moved from.
        to = dict(rank0_only=True, offload_to_cpu=not on_cpu)
        state_dict_cfg = dict(
            state_dict_type='FULL_STATE_DICT',
            state_dict_config=dict(type='FullStateDictConfig', **to),
            optim_state_dict_config=dict(type='FullOptimStateDictConfig', **to),
        )
        super().__init__(model_wrapper=wrapper, state_dict_cfg=state_dict_cfg, **kwargs)
        if not is_distributed():
            raise RuntimeError(
                'FSDPStrategy shards a model over several GPUs, but this run is a single process: '
                'start it with tools/dist_train.sh or tools/slurm_train.sh'
            )

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        model = self.convert_model(model)
        self._channels_last = {
            name: parameter.stride()
            for name, parameter in model.named_parameters()
            if not parameter.is_contiguous()
        }
        return super()._wrap_model(model)

    def build_optim_wrapper(self, optim_wrapper, model: nn.Module | None = None):
        """Build the optimizer wrapper.

        Args:
            optim_wrapper (dict): Its config.
            model (nn.Module, optional): The wrapped model.

        Returns:
            BaseOptimWrapper: The optimizer wrapper.
        """
        if optim_wrapper.get('clip_grad') is not None:
            raise ValueError(
                f'optim_wrapper.clip_grad={optim_wrapper["clip_grad"]} does not work with '
                'FSDPStrategy, as each GPU would clip by the norm of its own shard; it must be None'
            )
        return super().build_optim_wrapper(optim_wrapper, model)

    def save_checkpoint(self, filename: str, **kwargs) -> None:
        """Gather the model and the optimizer, and write them from the first process.

        Args:
            filename (str): Where.
            **kwargs: As of MMEngine's.
        """
        partial = Path(filename + PARTIAL)
        super().save_checkpoint(str(partial), **kwargs)
        if is_main_process():
            with open(partial, 'rb') as file:
                os.fsync(file.fileno())
            os.replace(partial, filename)

    def resume(self, filename: str, *, map_location: str | Callable = 'default', **kwargs) -> dict:
        """Go on from a checkpoint.

        Args:
            filename (str): The checkpoint.
            map_location (str | Callable): As of ``torch.load``; ``'default'``
                is main memory.
            **kwargs: As of MMEngine's.

        Returns:
            dict: What else is in the checkpoint.
        """
        if map_location == 'default':
            map_location = 'cpu'
        return super().resume(filename, map_location=map_location, **kwargs)

    def optim_state_dict(self) -> dict:
        """Gather the optimizer's state.

        Returns:
            dict: As of a run without FSDP, but with names of parameters in
            place of numbers; without the parameters' state on all processes
            but the first.
        """
        # Besides the parameters' state, there are MMEngine's base learning rate and loss scale.
        return self.optim_wrapper.state_dict() | super().optim_state_dict()

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state.

        Args:
            state_dict (dict): As of :meth:`optim_state_dict`.

        Raises:
            ValueError: If it is of a run without FSDP.
        """
        if any(isinstance(key, int) for key in state_dict['state']):
            raise ValueError(
                'the checkpoint was written without FSDP, and its optimizer state does not name '
                'the parameters: resume without FSDP, or start from its weights with load_from'
            )
        # PyTorch (2.13) shards weights in the order of their memory, but what is loaded of their
        # state in the order of the axes.
        state = dict(state_dict['state'])
        for name in self._channels_last.keys() & state.keys():
            state[name] = {
                key: _in_memory_order(value, self._channels_last[name]) if value.dim() else value
                for key, value in state[name].items()
            }
        state_dict = state_dict | dict(state=state)
        shard = FullyShardedDataParallel.optim_state_dict_to_load(
            self.model, self.optim_wrapper.optimizer, state_dict
        )
        self.optim_wrapper.load_state_dict(state_dict | shard)


def _in_memory_order(values: Tensor, stride: tuple[int, ...]) -> Tensor:
    """A contiguous tensor with the values as they lie in memory with another stride."""
    laid_out = torch.empty_strided(values.shape, stride, dtype=values.dtype).copy_(values)
    return laid_out.as_strided((values.numel(),), (1,)).view(values.shape)
