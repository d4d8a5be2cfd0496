"""The architectures of diffusion transformers and the numbering of their blocks.

DiT is the "diffusion transformer" of Peebles and Xie, *Scalable Diffusion
Models with Transformers* (https://arxiv.org/abs/2212.09748). SiT is the same
network, trained along straight paths from noise to data (Ma et al., *SiT*,
https://arxiv.org/abs/2401.08740).
"""

from dataclasses import dataclass, replace
from functools import cached_property

from ..denoiser import (
    Block,
    DenoiserArchitecture,
    ModelInput,
    check_noise_schedule,
    check_positive_ints,
    look_up,
)


@dataclass(frozen=True)
class TransformerArchitecture(DenoiserArchitecture):
    """Hyperparameters of a diffusion transformer, named as in DiT.

    Its images are the latents of Stable Diffusion's autoencoder, an eighth of
    the image's side.

    Args:
        image_size (int): Side of the square images that the model was trained
            on, in pixels. The network itself takes any size.
        hidden_size (int): Channels of a token. A multiple of 4, as positions
            are two sines and cosines.
        depth (int): Number of blocks.
        num_heads (int): Attention heads.
        patch_size (int): Side of a token's patch of latents. Defaults to 2.
        mlp_ratio (float): Width of a block's MLP over ``hidden_size``.
            Defaults to 4.0.
        num_classes (int): Classes, the null class apart. Defaults to 1000.
        learn_sigma (bool): Whether the last layer has twice the channels of
            the latents. SiT returns the first half. Defaults to True.
        noise_schedule (str): The noise process that the model was trained
            with, one of :data:`mmdiff.diffusion.SCHEDULES`: ``'linear-path'``
            for SiT. Defaults to ``'linear'``, DiT's.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or does not fit another.
    """

    image_size: int
    hidden_size: int
    depth: int
    num_heads: int
    patch_size: int = 2
    mlp_ratio: float = 4.0
    num_classes: int = 1000
    learn_sigma: bool = True
    noise_schedule: str = 'linear'

    input = ModelInput(channels=4, stride=8, scale=0.18215)
    condition = 'class'
    time_channels = 256

    def __post_init__(self):
        check_positive_ints(
            self,
            *('image_size', 'hidden_size', 'depth', 'num_heads', 'patch_size', 'num_classes'),
        )
        check_noise_schedule(self)
        if not isinstance(self.mlp_ratio, int | float) or isinstance(self.mlp_ratio, bool):
            raise TypeError(f'mlp_ratio must be a number, got {self.mlp_ratio!r}')
        if self.mlp_width < 1:
            raise ValueError(
                f'mlp_ratio={self.mlp_ratio} leaves no channels of hidden_size={self.hidden_size}'
            )
        for divisor, what in (
            (4, 'be divisible by 4, as positions are two sines and cosines'),
            (self.num_heads, f'be divisible by num_heads={self.num_heads}'),
        ):
            if self.hidden_size % divisor:
                raise ValueError(f'hidden_size must {what}, got {self.hidden_size}')
        if self.image_size % self.stride:
            raise ValueError(
                f'image_size must be divisible by {self.stride} (8 x patch_size='
                f'{self.patch_size}), got {self.image_size}'
            )

    @property
    def stride(self) -> int:
        """Pixels of the image for one token."""
        return self.input.stride * self.patch_size

    @property
    def grid_size(self) -> int:
        """Side of the grid of tokens, at ``image_size``."""
        return self.image_size // self.stride

    @property
    def mlp_width(self) -> int:
        """Hidden channels of a block's MLP."""
        return int(self.hidden_size * self.mlp_ratio)

    @property
    def out_channels(self) -> int:
        """Channels of the last layer, for one position of the latents."""
        return self.input.channels * (2 if self.learn_sigma else 1)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, first to last, of one width and stride."""
        return tuple(
            Block(i + 1, f'blocks.{i}', self.hidden_size, self.stride) for i in range(self.depth)
        )


_DIT = {
    'dit-xl-2': TransformerArchitecture(256, hidden_size=1152, depth=28, num_heads=16),
    'dit-l-2': TransformerArchitecture(256, hidden_size=1024, depth=24, num_heads=16),
    'dit-b-2': TransformerArchitecture(256, hidden_size=768, depth=12, num_heads=12),
    'dit-s-2': TransformerArchitecture(256, hidden_size=384, depth=12, num_heads=6),
}

ARCHITECTURES: dict[str, TransformerArchitecture] = {
    **_DIT,
    'dit-xl-2-512': replace(_DIT['dit-xl-2'], image_size=512),
    **{
        name.replace('dit', 'sit'): replace(arch, noise_schedule='linear-path')
        for name, arch in _DIT.items()
    },
    # Not published: to be trained on a CPU.
    'dit-64-small': TransformerArchitecture(
        image_size=64, hidden_size=128, depth=4, num_heads=4, num_classes=1
    ),
}


def get_transformer_architecture(
    arch: str | dict | TransformerArchitecture,
) -> TransformerArchitecture:
    """Look an architecture up by name, or build one from its fields.

    Args:
        arch (str | dict | TransformerArchitecture): A name in
            :data:`ARCHITECTURES`, the fields of
            :class:`TransformerArchitecture`, or an architecture.

    Returns:
        TransformerArchitecture: The architecture.

    Raises:
        TypeError: If ``arch`` is none of these, or lacks a needed field.
        ValueError: If the name or a field is unknown, or a value is bad.
    """
    return look_up(arch, TransformerArchitecture, ARCHITECTURES)
