"""Guided diffusion's classifier of noised images: the encoder half of an ADM U-Net, and a pool."""

from dataclasses import asdict, dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..denoiser import check_positive_ints, look_up
from .arch import ADMBlock, Architecture
from .norm import GroupNorm32
from .unet import UNet


@dataclass(frozen=True)
class EncoderArchitecture(Architecture):
    """Hyperparameters of a classifier: those of the U-Net whose encoder it is, and its classes.

    Its blocks are the encoder's and the middle block.

    Args:
        num_outputs (int): Classes that it tells apart. Defaults to 1000.
    """

    num_outputs: int = 1000

    def __post_init__(self):
        super().__post_init__()
        check_positive_ints(self, 'num_outputs')
        if self.num_head_channels is None:
            raise ValueError('num_head_channels must be given: the pool has attention heads too')
        if self.num_classes is not None:
            raise ValueError(
                f'a classifier is not conditioned on classes, got num_classes={self.num_classes}; '
                'num_outputs is what it tells apart'
            )

    @property
    def decoder_levels(self) -> tuple[tuple[int, ...], ...]:
        """None: the network ends with the middle block."""
        return ()

    @cached_property
    def blocks(self) -> tuple[ADMBlock, ...]:
        """All blocks: 1 to 18 and the middle block, 19, in the 256x256 model."""
        return self._all_blocks()[: self.middle]


class AttentionPool(nn.Module):
    """Classes of a map, by what its mean attends to (CLIP's pool).

    Args:
        arch (EncoderArchitecture): The architecture.
    """

    def __init__(self, arch: EncoderArchitecture):
        super().__init__()
        channels = arch.blocks[-1].channels
        self.side = arch.image_size // arch.total_stride
        self.num_heads = channels // arch.num_head_channels
        self.positional_embedding = nn.Parameter(
            torch.randn(channels, self.side**2 + 1) / channels**0.5
        )
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, arch.num_outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (self.side, self.side):
            raise ValueError(
                f'the classifier pools maps of {self.side}x{self.side}, those of images of the '
                f'size that it was trained on, got {x.shape[-2]}x{x.shape[-1]}'
            )
        x = x.flatten(2)
        x = torch.cat([x.mean(-1, keepdim=True), x], dim=-1)
        x = x + self.positional_embedding.to(x.dtype)
        q, k, v = self.qkv_proj(x).unflatten(1, (3, self.num_heads, -1)).transpose(-1, -2).unbind(1)
        # Only the mean's answer is used.
        pooled = F.scaled_dot_product_attention(q[:, :, :1], k, v)
        return self.c_proj(pooled.flatten(1)[..., None])[..., 0]


class EncoderUNet(UNet):
    """The classifier: features of its blocks, and logits where it is built whole.

    Args:
        arch (EncoderArchitecture): The architecture.
        last_block (int, optional): As of :class:`UNet`.
        gradient_checkpointing (bool): As of :class:`UNet`.
    """

    # Without its pool, it has the second alone.
    marks = ('out.2.c_proj.weight', 'time_embed.0.weight')

    def _build_output(self) -> nn.Module:
        return classifier_output(self.arch)


def classifier_output(arch: EncoderArchitecture) -> nn.Sequential:
    """What makes logits of the middle block's map, named as in guided-diffusion below ``out.``.

    Args:
        arch (EncoderArchitecture): The architecture.

    Returns:
        Sequential: From maps (N, C, image_size / stride, image_size / stride)
        to logits (N, num_outputs).
    """
    return nn.Sequential(GroupNorm32(arch.blocks[-1].channels), nn.SiLU(), AttentionPool(arch))


_CLASSIFIER_256 = EncoderArchitecture(
    image_size=256,
    model_channels=128,
    channel_mult=(1, 1, 2, 2, 4, 4),
    num_head_channels=64,
)


def _variant(**changes):
    return EncoderArchitecture(**(asdict(_CLASSIFIER_256) | changes))


# The published guided-diffusion classifiers, flags as in its README.
ENCODER_ARCHITECTURES: dict[str, EncoderArchitecture] = {
    'adm-64-classifier': _variant(
        image_size=64,
        channel_mult=(1, 2, 3, 4),
        num_res_blocks=4,
        noise_schedule='cosine',
    ),
    'adm-128-classifier': _variant(image_size=128, channel_mult=(1, 1, 2, 3, 4)),
    'adm-256-classifier': _CLASSIFIER_256,
    'adm-512-classifier': _variant(image_size=512, channel_mult=(0.5, 1, 1, 2, 2, 4, 4)),
}


def get_encoder_architecture(arch: str | dict | EncoderArchitecture) -> EncoderArchitecture:
    """Look a classifier's architecture up by name, or build one from its fields.

    Args:
        arch (str | dict | EncoderArchitecture): A name in
            :data:`ENCODER_ARCHITECTURES`, the fields of
            :class:`EncoderArchitecture`, or an architecture.

    Returns:
        EncoderArchitecture: The architecture.

    Raises:
        TypeError: If ``arch`` is none of these, or lacks a needed field.
        ValueError: If the name or a field is unknown, or a value is bad.
    """
    return look_up(arch, EncoderArchitecture, ENCODER_ARCHITECTURES)
