"""Training with weights, gradients and optimizer state sharded over the GPUs."""

import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine._strategy import FSDPStrategy as MMEngineFSDPStrategy
from mmengine.device import get_device
from mmengine.dist import is_distributed, is_main_process
from mmengine.logging import print_log
from mmengine.model import MMFullyShardedDataParallel
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmdiff.diffusion import CheckpointError, check_fit
from mmdiff.diffusion.adm import BlockLayers
from mmdiff.diffusion.dit import TransformerBlock
from mmdiff.engine.hooks.safe_checkpoint import PARTIAL
from mmdiff.registry import STRATEGIES
from mmdiff.torch_compat import can_shard_without_gpu

# Below, gathering a layer by itself costs more messages than it saves memory.
MIN_LAYER_WEIGHTS = 1_000_000


def find_units(model: nn.Module) -> list[nn.Module]:
    """FSDP's units in a model: each block of a denoiser, and each large layer elsewhere.

    Only what is called as a module can be one. MMSegmentation calls ``loss``
    of a head, not the head, and attention layers read the weights of their
    projections. Of Stable Diffusion, blocks are no modules of diffusers', so
    that its large layers are units.

    Args:
        model (nn.Module): A model that is not yet wrapped.

    Returns:
        list[nn.Module]: Modules in it, none within another.
    """
    if isinstance(model, BlockLayers | TransformerBlock):
        return [model]
    if type(model) in (nn.Conv2d, nn.Linear):
        return [model] if model.weight.numel() >= MIN_LAYER_WEIGHTS else []
    return [unit for child in model.children() for unit in find_units(child)]


class ShardedModel(MMFullyShardedDataParallel):
    """A model in FSDP's units, which trains sharded and predicts with whole weights.

    How often a unit runs in a prediction depends on the image: there are more
    windows for a larger one, and no masks where there are no boxes. If each
    unit gathered its weights by itself, a process would wait for others that
    are already done. So all are gathered once for each batch, of which each
    process must have the same number, as MMEngine's ``DefaultSampler`` sees to.

    Args:
        module (nn.Module): The model. Its units are those of
            :func:`find_units`.
        backward_prefetch (str, optional): When the backward gathers the next
            unit, as of PyTorch. Defaults to ``'BACKWARD_PRE'``, before a
            unit's gradients are computed.
        **kwargs: As of MMEngine's ``MMFullyShardedDataParallel``, without
            ``auto_wrap_policy``.
    """

    def __init__(self, module: nn.Module, backward_prefetch: str | None = 'BACKWARD_PRE', **kwargs):
        units = set(find_units(module))

        def is_unit(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
            # With recurse, FSDP asks whether to look inside.
            return recurse or module in units

        super().__init__(
            module, auto_wrap_policy=is_unit, backward_prefetch=backward_prefetch, **kwargs
        )

    def __deepcopy__(self, memo: dict):
        """Refuse to be copied.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            'a model that is sharded by FSDPStrategy cannot be copied, as EMAHook does: remove '
            'the hook from custom_hooks, or train without FSDP'
        )

    def _run_forward(self, data: dict | tuple | list, mode: str) -> list:
        """What ``val_step`` and ``test_step`` of MMEngine's have in common."""
        units = FullyShardedDataParallel.fsdp_modules(self)
        with FullyShardedDataParallel.summon_full_params(self, writeback=False):
            for unit in units:
                # An attribute of the instance, in place of FSDP's forward, which would gather.
                unit.forward = unit.module.__call__
            try:
                return super()._run_forward(data, mode)
            finally:
                for unit in units:
                    del unit.forward


@STRATEGIES.register_module()
class FSDPStrategy(MMEngineFSDPStrategy):
    """MMEngine's FSDP strategy for diffusion U-Nets, with checkpoints as of any other run.

    A checkpoint is one file with whole weights, which ``tools/test.py`` and
    runs without FSDP load; it is written beside the old one and then renamed.
    Beside that, this corrects MMEngine's (0.10): batch norm is synchronised,
    a run can be resumed with PyTorch 2, whose arguments have another order, a
    checkpoint is read into main memory rather than onto each GPU, what does
    not fit of another model's is left out with a warning, the optimizer is
    built for whole parameters, whose shapes may matter, a validation does not
    hang where images differ in size (:class:`ShardedModel`), and the strategy
    also works without a GPU.

    Args:
        model_wrapper (dict, optional): Arguments of :class:`ShardedModel`.
            Defaults to None.
        **kwargs: Arguments of MMEngine's ``DDPStrategy``, such as
            ``sync_bn='torch'``, and ``activation_checkpointing``.

    Attributes:
        expected (dict[str, Tensor]): The whole model's weights, on
            the meta device.

    Raises:
        ValueError: If the optimizer wrapper has ``clip_grad``: MMEngine would
            clip by the norm of each GPU's shard.
        RuntimeError: If the run is not distributed, or without a GPU where
            PyTorch cannot.
    """

    def __init__(self, *, model_wrapper: dict | None = None, **kwargs):
        wrapper = dict(type=ShardedModel) | (model_wrapper or {})
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
        if on_cpu and not can_shard_without_gpu():
            raise RuntimeError(
                f'FSDP of PyTorch {torch.__version__} needs GPUs, and there is none: use a newer '
                'PyTorch, or train without FSDP'
            )

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        model = self.convert_model(model)
        self._channels_last = {
            name: parameter.stride()
            for name, parameter in model.named_parameters()
            if not parameter.is_contiguous()
        }
        self.expected = {name: value.to('meta') for name, value in model.state_dict().items()}
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
        # Settings for each parameter may depend on its shape, which shards do not have.
        with FullyShardedDataParallel.summon_full_params(model, writeback=False):
            return super().build_optim_wrapper(optim_wrapper, model)

    def load_model_state_dict(
        self,
        state_dict: dict[str, Tensor],
        *,
        strict: bool = False,
        revise_keys: Sequence[tuple[str, str]] = ((r'^module\.', ''),),
    ) -> None:
        """Load the weights that fit, as a run without FSDP does.

        Args:
            state_dict (dict[str, Tensor]): Whole weights.
            strict (bool): Whether to refuse weights that do not fit, rather
                than to warn of them. Defaults to False.
            revise_keys (Sequence[tuple[str, str]]): Patterns in keys, and
                what takes their place. By default, ``module.`` at the
                beginning is removed.

        Raises:
            CheckpointError: If ``strict``, and a key is missing, unexpected or
                misshapen.
        """
        for pattern, replacement in revise_keys:
            state_dict = {
                re.sub(pattern, replacement, key): value for key, value in state_dict.items()
            }
        try:
            check_fit(state_dict, self.expected, self.expected, 'the checkpoint', 'model')
        except CheckpointError as error:
            if strict:
                raise
            print_log(f'{error}. The rest is loaded.', logger='current', level=logging.WARNING)
        fitting = {
            key: value
            for key, value in state_dict.items()
            if key in self.expected and value.shape == self.expected[key].shape
        }
        self.model.load_state_dict(fitting, strict=False)

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
            dict: On the first process, as of a run without FSDP, but with
            names of parameters in place of numbers; on the others, only what
            is not of parameters.
        """
        gathered = super().optim_state_dict()
        # Besides the parameters' state, there are MMEngine's base learning rate and loss scale.
        rest = self.optim_wrapper.state_dict()
        for of_shard in ('state', 'param_groups'):
            del rest[of_shard]
        return rest | gathered

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state.

        Args:
            state_dict (dict): As of :meth:`optim_state_dict`.

        Raises:
            ValueError: If it is of a run without FSDP.
        """
        if any(isinstance(p, int) for group in state_dict['param_groups'] for p in group['params']):
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
