"""What the backbones of all families share."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from itertools import islice

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdiff.diffusion import (
    NUM_TIMESTEPS,
    Denoiser,
    DenoiserArchitecture,
    UNetDenoiser,
    add_lora,
    can_pack,
    fixed_noise,
    load_weights,
    merge_lora,
    pack_weights,
    read_checkpoint,
    time_vectors,
)
from mmdiff.utils import (
    LOGS,
    FreeCores,
    as_ints,
    check_bool,
    check_choice,
    check_int,
    give_back_freed_memory,
    is_int,
    local_file,
)

from .cuda_graph import GraphedFunction
from .image_range import ImageCheck
from .input_noise import NOISELESS, NOISES, noise_images
from .lora import find_lora
from .precision import AMP_DTYPES, AUTO, fastest_dtype
from .walks import LEARNED, AnyTimestep, find_taps, find_walks


class DiffusionBackbone(BaseModule):
    r"""Features of a denoiser at one or more timesteps.

    The image is noised to ``timestep`` (paper, eq. 2), the network runs up to
    the deepest of ``blocks``, and the maps after ``blocks`` are returned
    (paper, section 2.1). Later blocks are neither built nor loaded.

    Inputs are RGB images in [-1, 1]: ``mean=[127.5] * 3, std=[127.5] * 3,
    bgr_to_rgb=True`` in the data preprocessor (MMPretrain's has ``to_rgb``).
    Sides that are not multiples of the network's total stride (32 for the
    256x256 ADM) are padded by repeating the edge, and the features are
    cropped back.

    A family gives the network (:attr:`network_name`, :meth:`find_architecture`
    and :meth:`build_network`), and what images and conditions become, where
    that is more than pixels and nothing.

    Args:
        arch (str | dict): Name of an architecture of the family, or its
            fields.
        timestep (int | Sequence[int] | Mapping[int, int] | str): Timestep t of
            the noised image, from 0 to 999; several, whose features are all
            returned (for DifFormer, section 3.2); {block: timestep}, a
            timestep of its own for each of ``blocks``, whose maps are returned
            as those of one timestep; or ``'learned'``: what the network's time
            embedding takes is a parameter, trained whatever ``frozen`` says
            (Wan et al., *Harnessing Diffusion Models for Visual Perception
            with Meta Prompts*, https://arxiv.org/abs/2312.14733, with clean
            images).
        blocks (int | Sequence[int]): Numbers of the blocks whose features are
            returned, counted from 1 as in the paper.
        noise (str): The noise in training. ``'random'`` is a fresh draw at
            every forward, as in the paper. ``'fixed'`` is one draw that
            depends only on ``seed`` and the size of the image; all images of
            a batch share it, so that features do not depend on the batch.
            ``'none'`` is zero noise, :math:`x_t = \sqrt{\bar\alpha_t} x_0`,
            and ``'clean'`` the image itself, :math:`x_t = x_0`. Defaults to
            ``'random'``.
        eval_noise (str): The noise in evaluation, one of the same four.
            Defaults to ``'fixed'``, so that a test score repeats. (The paper
            draws fresh noise here too.)
        seed (int): Seed of the fixed noise. Defaults to 0.
        ensemble_size (int): Number of noise draws whose features are
            averaged, computed as one batch. Defaults to 1.
        batch_timesteps (bool): Whether several timesteps are computed as one
            batch, or one after another, which takes less memory and gives the
            same features. Timesteps of blocks are always computed one after
            another, each up to the last of its blocks. Defaults to True.
        frozen (str | int, optional): What is not trained: ``'none'``,
            ``'all'``, or a block number up to which, embeddings included, all
            blocks are frozen. Frozen parts keep no graph and stay in eval
            mode. Defaults to None: ``'none'``, or ``'all'`` with ``lora``.
        lora (dict, optional): ``dict(rank=..., blocks=...)`` trains low-rank
            adapters (LoRA) of the frozen network's convolutions and linear
            layers, in ``blocks`` or, without them, in all blocks up to the
            deepest whose features are returned. They start as zero. Defaults
            to None: no adapters.
        with_cp (bool): Gradient checkpointing: keep only the outputs of
            blocks, and compute the rest again in the backward. Defaults to
            False.
        amp_dtype (str, optional): ``'float16'`` or ``'bfloat16'`` runs the
            network (and an autoencoder before it) in mixed precision, whatever
            the rest of the model does, and returns float32. None follows the
            surrounding autocast, such as ``--amp`` sets; ``'auto'`` is the
            fastest where it runs, see :func:`.precision.fastest_dtype`.
            Defaults to None.
        initial_timestep (int, optional): For ``timestep='learned'``: the
            timestep from whose embedding it starts, also where ``init_cfg``
            takes the network from a run's checkpoint, and to which images are
            noised, unless they are clean. Defaults to None: 0.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``
            with what the family takes, and ``entry='model'`` or another name
            where the file has several state dicts. Defaults to None: random
            weights.

    Attributes:
        network_name (str): Name of the attribute that holds the network, with
            which its weights' names in a checkpoint begin.
        out_channels (tuple[int, ...]): Channels of each returned map.
        strides (tuple[int, ...]): Stride of each returned map.
        out_indices (tuple[int, ...]): ``blocks``, by the name under which
            OpenMMLab's tools look for them.
        taps (tuple[tuple[tuple, ...], ...]): For each tuple of maps that is
            returned, the (timestep, block) of each map.
        learned_timestep (Parameter): With ``timestep='learned'``, shape (1,
            time_channels of the architecture).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    network_name = 'unet'
    # Of the images, for mmdiff.InputCheckHook.
    image_range = (-1, 1)
    # What init_cfg may have besides type and checkpoint.
    init_cfg_keys = ('prefix', 'entry')

    def __init__(
        self,
        arch: str | dict | DenoiserArchitecture,
        timestep: AnyTimestep,
        blocks: int | Sequence[int],
        noise: str = 'random',
        eval_noise: str = 'fixed',
        seed: int = 0,
        ensemble_size: int = 1,
        batch_timesteps: bool = True,
        frozen: str | int | None = None,
        lora: dict | None = None,
        with_cp: bool = False,
        amp_dtype: str | None = None,
        initial_timestep: int | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        if init_cfg is not None:
            self._check_init_cfg(init_cfg)
        self.arch = self.find_architecture(arch)
        self.blocks = self._check_blocks(blocks)
        self.walks = find_walks(timestep, self.blocks)
        self.taps = find_taps(self.walks, self.blocks)
        self.timesteps = tuple(walk.timestep for walk in self.walks)
        check_int('ensemble_size', ensemble_size, 1)
        check_choice('noise', noise, NOISES)
        check_choice('eval_noise', eval_noise, NOISES)
        if ensemble_size > 1 and {noise, eval_noise} & set(NOISELESS):
            raise ValueError(
                f'ensemble_size={ensemble_size} averages over noise draws, but noise={noise!r} and '
                f'eval_noise={eval_noise!r}; neither may be {" or ".join(map(repr, NOISELESS))}'
            )
        if amp_dtype is not None:
            check_choice('amp_dtype', amp_dtype, (*AMP_DTYPES, AUTO))
        check_int('seed', seed, 0)
        check_bool('batch_timesteps', batch_timesteps)
        check_bool('with_cp', with_cp)
        self.single_timestep = is_int(timestep) or isinstance(timestep, str | Mapping)
        self.batch_timesteps = batch_timesteps
        self._check_images = ImageCheck()
        self.noise = noise
        self.eval_noise = eval_noise
        self.seed = int(seed)
        self.fixed_noise = partial(fixed_noise, self.seed)
        self.ensemble_size = int(ensemble_size)
        # The device decides which, when it is known.
        self.amp_dtype = AUTO if amp_dtype == AUTO else AMP_DTYPES.get(amp_dtype)
        self._graphed = None
        self._free_cores = None

        taps = [self.arch.blocks[number - 1] for number in self.blocks]
        self.out_channels = tuple(tap.channels for tap in taps)
        self.strides = tuple(tap.stride for tap in taps)
        self.out_indices = self.blocks
        deepest, last_block = max(self.blocks), self._last_block()
        lora = find_lora(lora, frozen, deepest)
        if frozen is None:
            frozen = 'all' if lora else 'none'
        up_to = self._check_frozen(frozen)
        network = self.build_network(last_block, gradient_checkpointing=with_cp)
        network.freeze([*range(1, up_to + 1), *range(deepest + 1, last_block + 1)])
        if deepest == 1 and isinstance(network, UNetDenoiser):
            # Its first convolution takes none, and DDP waits for the gradient of what asks for one.
            for module in network.embeddings():
                module.requires_grad_(False)
        if lora:
            add_lora(network, **lora)
        setattr(self, self.network_name, network)
        self.initial_timestep = self._check_initial_timestep(initial_timestep)
        if self.initial_timestep is not None:
            start = time_vectors(torch.tensor([self.initial_timestep]), self.arch)
            self.learned_timestep = nn.Parameter(start)

    @classmethod
    @abstractmethod
    def find_architecture(cls, arch: str | dict | DenoiserArchitecture) -> DenoiserArchitecture:
        """Look an architecture of the family up, or build it from its fields.

        Args:
            arch (str | dict | DenoiserArchitecture): A name, fields, or an
                architecture.

        Returns:
            DenoiserArchitecture: The architecture.

        Raises:
            TypeError: If it is none of these, or lacks a field.
            ValueError: If the name or a field is unknown, or a value is bad.
        """

    @abstractmethod
    def build_network(self, last_block: int, gradient_checkpointing: bool) -> Denoiser:
        """Build the network, with random weights.

        Args:
            last_block (int): The deepest block to build.
            gradient_checkpointing (bool): As of :class:`Denoiser`.

        Returns:
            Denoiser: The network.
        """

    @property
    def network(self) -> Denoiser:
        """The network."""
        return getattr(self, self.network_name)

    def _last_block(self) -> int:
        """The deepest block that runs."""
        return max(self.blocks)

    def _check_blocks(self, blocks) -> tuple[int, ...]:
        numbers = as_ints('blocks', blocks)
        if not numbers:
            raise TypeError(f'blocks must be one or more block numbers, got {blocks!r}')
        for number in numbers:
            self.arch.check_block(number, 'blocks')
        if len(set(numbers)) < len(numbers):
            raise ValueError(f'blocks must not repeat a block, got {numbers}')
        return numbers

    def _check_initial_timestep(self, initial_timestep) -> int | None:
        """Where a learned timestep starts; None where none is learned."""
        if self.timesteps != (LEARNED,):
            if initial_timestep is not None:
                raise ValueError(
                    f'initial_timestep={initial_timestep!r} is where a learned timestep starts, '
                    f'but timestep is not {LEARNED!r}'
                )
            return None
        if max(self.blocks) == 1 and isinstance(self.network, UNetDenoiser):
            raise ValueError(
                f'timestep={LEARNED!r} trains what the time embedding takes, but block 1, the last '
                f'of blocks={self.blocks}, takes no embedding'
            )
        initial_timestep = 0 if initial_timestep is None else initial_timestep
        check_int('initial_timestep', initial_timestep, 0, NUM_TIMESTEPS - 1)
        return int(initial_timestep)

    def _check_frozen(self, frozen) -> int:
        deepest = max(self.blocks)
        if isinstance(frozen, str) and frozen in ('none', 'all'):
            return 0 if frozen == 'none' else deepest
        if not is_int(frozen) or not 1 <= frozen <= deepest:
            raise ValueError(
                f"frozen must be 'none', 'all', or a block number from 1 to {deepest}, the deepest "
                f'of blocks, got {frozen!r}'
            )
        return int(frozen)

    def _check_init_cfg(self, init_cfg) -> None:
        keys = set(init_cfg) if isinstance(init_cfg, dict) else set()
        needed = {'type', 'checkpoint'}
        if not needed <= keys <= {*needed, *self.init_cfg_keys} or (
            init_cfg['type'] != 'Pretrained'
        ):
            raise ValueError(
                "init_cfg must be dict(type='Pretrained', checkpoint=...), with an optional "
                f'{" or ".join(self.init_cfg_keys)}, got {init_cfg!r}'
            )

    def init_weights(self) -> None:
        """Load the pretrained weights that ``init_cfg`` names.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            CheckpointError: If the checkpoint is broken or does not fit.
        """
        if self.is_init or self.init_cfg is None:
            return
        self.load_pretrained(**{k: v for k, v in self.init_cfg.items() if k != 'type'})
        self.is_init = True

    def load_pretrained(self, checkpoint: str, prefix: str = '', entry: str | None = None) -> None:
        """Load the network from a file.

        Args:
            checkpoint (str): As of :func:`mmdiff.utils.local_file`.
            prefix (str): What the keys in the file begin with. Defaults to
                ''.
            entry (str, optional): Which of several state dicts in the file,
                as of :func:`mmdiff.diffusion.read_checkpoint`. Defaults to
                None.

        Raises:
            FileNotFoundError: If there is no such file.
            CheckpointError: If it is broken or does not fit.
        """
        # With a prefix, it is that of a run.
        allowed = LOGS if prefix else ()
        state_dict = read_checkpoint(local_file(checkpoint), prefix, allowed, entry)
        self.load_network(state_dict, checkpoint)

    def load_network(self, state_dict: dict[str, Tensor], source: str) -> None:
        """Fill the network, and log what it has no place for.

        Args:
            state_dict (dict[str, Tensor]): Weights of the whole network.
            source (str): Where they came from.

        Raises:
            CheckpointError: If they do not fit.
        """
        self.log_loaded(source, load_weights(self.network, state_dict, source))

    def log_loaded(self, source: str, left_out: Sequence[str]) -> None:
        """Log that the network was loaded, and what it has no place for.

        Args:
            source (str): Where it came from.
            left_out (Sequence[str]): Names of weights of blocks that are not
                built.
        """
        name = self.network_name.replace('unet', 'U-Net')
        message = f'Loaded the {name} from {source}.'
        if left_out:
            modules = dict.fromkeys('.'.join(key.split('.')[:2]) for key in left_out)
            message += (
                f' Left out {len(left_out)} tensors of blocks that are not built, as they come '
                f'after block {self.network.last_block}: {", ".join(modules)}'
            )
        print_log(message, logger='current')

    def forward(self, x_0: Tensor) -> tuple[Tensor, ...] | tuple[tuple[Tensor, ...], ...]:
        """Features of noised images.

        Args:
            x_0 (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: For each of ``blocks``, in their order, a map
            of shape (N, C_b, ceil(H / s_b), ceil(W / s_b)). If ``timestep``
            is a sequence, such a tuple for each timestep, in their order. They
            are those of ``taps``.

        Raises:
            TypeError: If the input is not of floating point.
            ValueError: If it is not of shape (N, 3, H, W), or empty, or if
                values are beyond 1.5 or NaN (on a GPU, which would have to be
                waited for, in the first forward only).
        """
        self._check_images(x_0)
        compute = self._graphed if self._runs_as_graph(x_0) else self._maps
        adapts = self._free_cores is not None and x_0.device.type == 'cpu'
        with self._free_cores.adapted() if adapts else nullcontext():
            maps = iter(compute(x_0))
        features = tuple(tuple(islice(maps, len(self.blocks))) for _ in self.taps)
        return features[0] if self.single_timestep else features

    def _runs_as_graph(self, x_0: Tensor) -> bool:
        needs_gradient = torch.is_grad_enabled() and x_0.requires_grad
        return self._graphed is not None and x_0.is_cuda and not (self.training or needs_gradient)

    def _maps(self, x_0: Tensor) -> list[Tensor]:
        """The maps of :meth:`forward`, one tuple's after the other's."""
        encoded = self.encode(self._pad(x_0))
        x_t = [self.noised(encoded, t) for t in self._noise_levels()]
        with self.precision(x_0.device):
            if self.batch_timesteps and len(self.taps) > 1:
                maps = self._features_at(torch.cat(x_t), self.timesteps, self.blocks)
                features = list(zip(*(m.chunk(len(x_t)) for m in maps), strict=True))
            else:
                features = [
                    self._features_at(x, (walk.timestep,), walk.blocks)
                    for x, walk in zip(x_t, self.walks, strict=True)
                ]
        found = {
            (walk.timestep, number): m
            for walk, maps in zip(self.walks, features, strict=True)
            for number, m in zip(walk.blocks, maps, strict=True)
        }
        size = x_0.shape[-2:]
        return [m for taps in self.taps for m in self._finish([found[tap] for tap in taps], size)]

    def _noise_levels(self) -> tuple[int, ...]:
        """The timestep to which images are noised, for each walk."""
        return self.timesteps if self.initial_timestep is None else (self.initial_timestep,)

    def precision(self, device: torch.device) -> AbstractContextManager:
        """The autocast of ``amp_dtype``, or the surrounding one.

        Args:
            device (torch.device): Where the network runs.

        Returns:
            AbstractContextManager: To run it in.
        """
        self._choose_amp_dtype(device)
        if self.amp_dtype is None:
            return nullcontext()
        return torch.autocast(device.type, self.amp_dtype)

    def _choose_amp_dtype(self, device: torch.device) -> None:
        if self.amp_dtype == AUTO:
            trained = any(p.requires_grad for p in self.network.parameters())
            self.amp_dtype = fastest_dtype(device, trained)

    def prepare_for_inference(self) -> None:
        """Do once what a frozen backbone would do at every forward.

        Features stay the same. Adapters are merged into the weights. Those of
        convolutions and linear layers are held in ``amp_dtype``, where there
        is one: a checkpoint would have rounded ones from then on. On an x86
        CPU, they are :class:`mmdiff.diffusion.PackedLayer` then, and a forward
        takes as many threads as :class:`mmdiff.utils.FreeCores` finds.
        Embeddings of the timesteps are kept. On a GPU, images of a size that comes again
        run as a CUDA graph, which sees changes of weights, but not forward
        hooks, modules that are replaced by others, or changed attributes: call
        this after these.

        Raises:
            ValueError: If weights are trained.
        """
        trained = [name for name, p in self.named_parameters() if p.requires_grad]
        if trained:
            raise ValueError(
                "a backbone is prepared for inference where nothing is trained (frozen='all', or "
                f'requires_grad_(False)), but {len(trained)} weights are, such as {trained[0]}'
            )
        merge_lora(self.network)
        device = next(self.network.parameters()).device
        self._choose_amp_dtype(device)
        if self.amp_dtype is not None:
            self._hold_weights_in_amp_dtype()
        if can_pack(device):
            pack_weights(self, after_large=give_back_freed_memory)
        self.network.keep_embeddings()
        self._graphed = GraphedFunction(self._maps, self)
        self._free_cores = FreeCores()

    def _hold_weights_in_amp_dtype(self) -> None:
        """Autocast would cast them at every forward. Norms stay in float32."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                module.to(self.amp_dtype)

    def encode(self, images: Tensor) -> Tensor:
        """What is noised of images: pixels, unless the family has latents.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W), with
                sides that are multiples of the total stride.

        Returns:
            Tensor: As ``arch.input`` says.
        """
        return images

    def condition(self, timesteps: Tensor) -> Tensor | None:
        """What the network is conditioned on.

        Args:
            timesteps (Tensor): Shape (1, ), or one for each map; or vectors,
                as of :func:`mmdiff.diffusion.time_vectors`.

        Returns:
            Tensor | None: A row for each of ``timesteps``; None for nothing.
        """
        return None

    def _features_at(
        self, x_t: Tensor, timesteps: Sequence[int | str], blocks: Sequence[int]
    ) -> tuple[Tensor, ...]:
        """Features of images, the same number of them for each timestep."""
        if self.initial_timestep is not None:
            t = self.learned_timestep
        else:
            repeats = len(x_t) // len(timesteps) if len(timesteps) > 1 else 1
            t = _on_device(tuple(timesteps), repeats, x_t.device)
        return self._features(x_t, t, blocks, self.condition(t))

    def _features(
        self, x_t: Tensor, timesteps: Tensor, blocks: Sequence[int], condition: Tensor | None
    ) -> tuple[Tensor, ...]:
        return self.network.features(x_t, timesteps, blocks, condition)

    def _pad(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        stride = self.arch.total_stride
        if height % stride or width % stride:
            images = F.pad(images, (0, -width % stride, 0, -height % stride), mode='replicate')
        return images

    def noised(self, x_0: Tensor, timestep: int) -> Tensor:
        """Images noised as :meth:`forward` does it.

        Args:
            x_0 (Tensor): What :meth:`encode` gives, shape (N, C, H, W).
            timestep (int): The timestep, from 0 to 999.

        Returns:
            Tensor: Shape (N * ensemble_size, C, H, W), the draws of an image
            side by side.
        """
        # Image after image, each with its draws side by side.
        x_0 = x_0.repeat_interleave(self.ensemble_size, dim=0)
        noise = self.noise if self.training else self.eval_noise
        return noise_images(
            x_0, timestep, noise, self.fixed_noise, self.arch.noise_schedule, self.ensemble_size
        )

    def _finish(self, maps: Sequence[Tensor], image_size: Sequence[int]) -> tuple[Tensor, ...]:
        """Average over noise draws, and crop what the padding added."""
        if self.amp_dtype is not None:
            maps = [m.float() for m in maps]
        if self.ensemble_size > 1:
            maps = [m.unflatten(0, (-1, self.ensemble_size)).mean(dim=1) for m in maps]
        height, width = image_size
        # Contiguous, though the U-Net's are channels_last: mmcv's RoIAlign reads its input as if it
        # were (https://github.com/open-mmlab/mmcv/issues/2203).
        return tuple(
            m[..., : math.ceil(height / s), : math.ceil(width / s)].contiguous()
            for m, s in zip(maps, self.strides, strict=True)
        )


@lru_cache(maxsize=64)
def _on_device(timesteps: tuple[int, ...], repeats: int, device: torch.device) -> Tensor:
    """Timesteps, each so often, as a tensor, which a GPU has not to wait for at each forward."""
    return torch.tensor([t for t in timesteps for _ in range(repeats)], device=device)
