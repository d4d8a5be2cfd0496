"""Features of a pretrained diffusion U-Net, as an OpenMMLab backbone."""

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor

from mmdiff.diffusion import (
    NUM_TIMESTEPS,
    UNet,
    fixed_noise,
    get_architecture,
    load_weights,
    q_sample,
    read_checkpoint,
)
from mmdiff.registry import MODELS
from mmdiff.utils import check_bool, check_choice, check_int, local_file

NOISES = ('random', 'fixed', 'none')
AMP_DTYPES = {'float16': torch.float16, 'bfloat16': torch.bfloat16}


@MODELS.register_module()
class GuidedDiffusionBackbone(BaseModule):
    r"""Features of a guided-diffusion (ADM) U-Net at one or more timesteps.

    The image is noised to ``timestep`` (paper, eq. 2), the U-Net runs up to
    the deepest of ``blocks``, and the maps after ``blocks`` are returned
    (paper, section 2.1). Later blocks are neither built nor loaded.

    Inputs are RGB images in [-1, 1]: ``mean=[127.5] * 3, std=[127.5] * 3,
    bgr_to_rgb=True`` in the data preprocessor (MMPretrain's has ``to_rgb``).
    Sides that are not multiples of the U-Net's total stride (32 for the
    256x256 model) are padded by repeating the edge, and the features are
    cropped back.

    Args:
        arch (str | dict): Name of an architecture, one of
            :data:`mmdiff.diffusion.ARCHITECTURES`, or the fields of
            :class:`mmdiff.diffusion.Architecture`. Defaults to
            ``'adm-256-uncond'``, the paper's.
        timestep (int | Sequence[int]): Timestep t of the noised image, from 0
            to 999, or several, whose features are all returned (for DifFormer,
            section 3.2). Defaults to 90, the paper's for segmentation
            (section 4.4).
        blocks (int | Sequence[int]): Numbers of the blocks whose features are
            returned, counted from 1 as in the paper. Defaults to (24, ).
        noise (str): The noise in training. ``'random'`` is a fresh draw at
            every forward, as in the paper. ``'fixed'`` is one draw that
            depends only on ``seed`` and the size of the image; all images of
            a batch share it, so that features do not depend on the batch.
            ``'none'`` is zero noise, :math:`x_t = \sqrt{\bar\alpha_t} x_0`.
            Defaults to ``'random'``.
        eval_noise (str): The noise in evaluation, one of the same three.
            Defaults to ``'fixed'``, so that a test score repeats. (The paper
            draws fresh noise here too.)
        seed (int): Seed of the fixed noise. Defaults to 0.
        ensemble_size (int): Number of noise draws whose features are
            averaged, computed as one batch. Defaults to 1.
        batch_timesteps (bool): Whether several timesteps are computed as one
            batch, or one after another, which takes less memory and gives the
            same features. Defaults to True.
        frozen (str | int): What is not trained: ``'none'``, ``'all'``, or a
            block number up to which, embeddings included, all blocks are
            frozen. Frozen parts keep no graph and stay in eval mode.
            Defaults to ``'none'``.
        label (int, optional): Class that conditions a class-conditional
            model, the same for all images. None leaves the class out.
            Defaults to None.
        with_cp (bool): Gradient checkpointing: keep only the outputs of
            blocks, and compute the rest again in the backward. Defaults to
            False.
        amp_dtype (str, optional): ``'float16'`` or ``'bfloat16'`` runs the
            U-Net in mixed precision, whatever the rest of the model does, and
            returns float32. None follows the surrounding autocast, such as
            ``--amp`` sets. Defaults to None.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``
            with the path or URL of a guided-diffusion checkpoint, or
            ``mmdiff://NAME`` for one that comes with mmdiff, and
            ``prefix='backbone.unet.'`` to take the U-Net from a segmentor's
            or detector's. Defaults to None: random weights.

    Attributes:
        out_channels (tuple[int, ...]): Channels of each returned map.
        strides (tuple[int, ...]): Stride of each returned map.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        arch: str | dict = 'adm-256-uncond',
        timestep: int | Sequence[int] = 90,
        blocks: int | Sequence[int] = (24,),
        noise: str = 'random',
        eval_noise: str = 'fixed',
        seed: int = 0,
        ensemble_size: int = 1,
        batch_timesteps: bool = True,
        frozen: str | int = 'none',
        label: int | None = None,
        with_cp: bool = False,
        amp_dtype: str | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        if init_cfg is not None:
            _check_init_cfg(init_cfg)
        self.arch = get_architecture(arch)
        self.blocks = self._check_blocks(blocks)
        self.timesteps = self._check_timesteps(timestep)
        check_int('ensemble_size', ensemble_size, 1)
        check_choice('noise', noise, NOISES)
        check_choice('eval_noise', eval_noise, NOISES)
        if ensemble_size > 1 and 'none' in (noise, eval_noise):
            raise ValueError(
                f'ensemble_size={ensemble_size} averages over noise draws, but noise={noise!r} and '
                f'eval_noise={eval_noise!r}; neither may be "none"'
            )
        if label is not None:
            if self.arch.num_classes is None:
                raise ValueError(f'label={label} given, but arch={arch!r} is not class-conditional')
            check_int('label', label, 0, self.arch.num_classes - 1)
        if amp_dtype is not None:
            check_choice('amp_dtype', amp_dtype, AMP_DTYPES)
        check_int('seed', seed, 0)
        check_bool('batch_timesteps', batch_timesteps)
        check_bool('with_cp', with_cp)
        self.single_timestep = isinstance(timestep, int)
        self.batch_timesteps = batch_timesteps
        self.noise = noise
        self.eval_noise = eval_noise
        self.seed = seed
        self.ensemble_size = ensemble_size
        self.label = label
        self.amp_dtype = AMP_DTYPES.get(amp_dtype)

        taps = [self.arch.blocks[number - 1] for number in self.blocks]
        self.out_channels = tuple(tap.channels for tap in taps)
        self.strides = tuple(tap.stride for tap in taps)
        deepest, last_block = max(self.blocks), self._last_block()
        self.unet = UNet(self.arch, last_block, gradient_checkpointing=with_cp)
        # What gets no gradient must not ask for one, or DDP waits for it.
        if self.arch.num_classes is not None and label is None:
            self.unet.label_emb.requires_grad_(False)
        up_to = self._check_frozen(frozen)
        self.unet.freeze([*range(1, up_to + 1), *range(deepest + 1, last_block + 1)])

    def _last_block(self) -> int:
        """The deepest block that runs."""
        return max(self.blocks)

    def _check_timesteps(self, timestep) -> tuple[int, ...]:
        timesteps = timestep if isinstance(timestep, list | tuple) else (timestep,)
        for t in timesteps:
            check_int('timestep', t, 0, NUM_TIMESTEPS - 1)
        if not timesteps or len(set(timesteps)) < len(timesteps):
            raise ValueError(
                f'timestep must be an int or a sequence of different ints, got {timestep!r}'
            )
        return tuple(timesteps)

    def _check_blocks(self, blocks) -> tuple[int, ...]:
        if isinstance(blocks, int):
            blocks = (blocks,)
        if not isinstance(blocks, Sequence) or isinstance(blocks, str) or not blocks:
            raise TypeError(f'blocks must be one or more block numbers, got {blocks!r}')
        for number in blocks:
            self.arch.check_block(number, 'blocks')
        if len(set(blocks)) < len(blocks):
            raise ValueError(f'blocks must not repeat a block, got {tuple(blocks)}')
        return tuple(blocks)

    def _check_frozen(self, frozen) -> int:
        deepest = max(self.blocks)
        if frozen in ('none', 'all'):
            return 0 if frozen == 'none' else deepest
        if not isinstance(frozen, int) or isinstance(frozen, bool) or not 1 <= frozen <= deepest:
            raise ValueError(
                f"frozen must be 'none', 'all', or a block number from 1 to {deepest}, the deepest "
                f'of blocks, got {frozen!r}'
            )
        return frozen

    def init_weights(self) -> None:
        """Load the pretrained U-Net that ``init_cfg`` names.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            CheckpointError: If the checkpoint is broken or does not fit.
        """
        if self.is_init or self.init_cfg is None:
            return
        checkpoint = self.init_cfg['checkpoint']
        state_dict = read_checkpoint(local_file(checkpoint), self.init_cfg.get('prefix', ''))
        left_out = load_weights(self.unet, state_dict, checkpoint)
        message = f'Loaded the U-Net from {checkpoint}.'
        if left_out:
            modules = dict.fromkeys('.'.join(key.split('.')[:2]) for key in left_out)
            message += (
                f' Left out {len(left_out)} tensors of blocks that are not built, as they come '
                f'after block {self.unet.last_block}: {", ".join(modules)}'
            )
        print_log(message, logger='current')
        self.is_init = True

    def forward(self, x_0: Tensor) -> tuple[Tensor, ...] | tuple[tuple[Tensor, ...], ...]:
        """Features of noised images.

        Args:
            x_0 (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: For each of ``blocks``, in their order, a map
            of shape (N, C_b, ceil(H / s_b), ceil(W / s_b)). If ``timestep``
            is a sequence, such a tuple for each timestep, in their order.

        Raises:
            TypeError: If the input is not of floating point.
            ValueError: If it is not of shape (N, 3, H, W), or empty.
        """
        if x_0.dim() != 4 or x_0.shape[1] != 3 or not x_0.numel():
            raise ValueError(
                f'x_0 must have shape (N, 3, H, W), none of them 0, got {tuple(x_0.shape)}'
            )
        if not x_0.is_floating_point():
            raise TypeError(f'x_0 must hold floating-point values in [-1, 1], got {x_0.dtype}')
        padded = self._pad(x_0)
        x_t = [self.noised(padded, t) for t in self.timesteps]
        own_precision = (
            nullcontext()
            if self.amp_dtype is None
            else torch.autocast(x_0.device.type, self.amp_dtype)
        )
        with own_precision:
            if self.batch_timesteps:
                maps = self._features_at(torch.cat(x_t), self.timesteps)
                features = list(zip(*(m.chunk(len(x_t)) for m in maps), strict=True))
            else:
                features = [
                    self._features_at(x, (t,)) for x, t in zip(x_t, self.timesteps, strict=True)
                ]
        finished = tuple(self._finish(maps, x_0.shape[-2:]) for maps in features)
        return finished[0] if self.single_timestep else finished

    def _features_at(self, x_t: Tensor, timesteps: Sequence[int]) -> tuple[Tensor, ...]:
        """Features of images, the same number of them for each timestep."""
        t = torch.tensor(timesteps, device=x_t.device)
        if len(t) > 1:
            t = t.repeat_interleave(len(x_t) // len(t))
        labels = None if self.label is None else torch.full_like(t, self.label)
        return self._features(x_t, t, labels)

    def _features(
        self, x_t: Tensor, timesteps: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, ...]:
        return self.unet.features(x_t, timesteps, self.blocks, labels)

    def _pad(self, x_0: Tensor) -> Tensor:
        height, width = x_0.shape[-2:]
        stride = self.arch.total_stride
        if height % stride or width % stride:
            x_0 = F.pad(x_0, (0, -width % stride, 0, -height % stride), mode='replicate')
        return x_0

    def noised(self, x_0: Tensor, timestep: int) -> Tensor:
        """Images noised as :meth:`forward` does it.

        Args:
            x_0 (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).
            timestep (int): The timestep, from 0 to 999.

        Returns:
            Tensor: Shape (N * ensemble_size, 3, H, W), the draws of an image
            side by side.
        """
        n, (_, *size) = self.ensemble_size, x_0.shape
        # Image after image, each with its draws side by side.
        x_0 = x_0.repeat_interleave(n, dim=0)
        noise = self.noise if self.training else self.eval_noise
        epsilon = None
        if noise == 'random':
            epsilon = torch.randn_like(x_0)
        elif noise == 'fixed':
            draws = fixed_noise(self.seed, (n, *size)).to(x_0)
            epsilon = draws.repeat(len(x_0) // n, 1, 1, 1)
        return q_sample(x_0, timestep, epsilon, self.arch.noise_schedule)

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


def _check_init_cfg(init_cfg):
    keys = set(init_cfg) if isinstance(init_cfg, dict) else set()
    if not {'type', 'checkpoint'} <= keys <= {'type', 'checkpoint', 'prefix'} or (
        init_cfg['type'] != 'Pretrained'
    ):
        raise ValueError(
            "init_cfg must be dict(type='Pretrained', checkpoint=...), with an optional prefix, "
            f'got {init_cfg!r}'
        )
