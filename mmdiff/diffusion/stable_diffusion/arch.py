"""The architectures of Stable Diffusion's U-Net and the numbering of its blocks."""

from dataclasses import dataclass
from functools import cached_property

from ..denoiser import (
    Block,
    DenoiserArchitecture,
    ModelInput,
    check_noise_schedule,
    check_positive_ints,
    levels_after,
    look_up,
)

TEXT_ENCODERS = ('clip', 'open-clip')


@dataclass(frozen=True)
class StableDiffusionArchitecture(DenoiserArchitecture):
    """Hyperparameters of Stable Diffusion's U-Net, named as diffusers names them.

    All levels but the coarsest attend to the text.

    Args:
        image_size (int): Side of the square images that the model was trained
            on, in pixels. Defaults to 512.
        block_out_channels (tuple[int, ...]): Channels of each level,
            multiples of 32, as every GroupNorm has 32 groups. Defaults to
            (320, 640, 1280, 1280).
        layers_per_block (int): Residual blocks per encoder level. Defaults to
            2.
        cross_attention_dim (int): Width of the text's tokens. Defaults to 768,
            that of 1.x.
        num_attention_heads (int | tuple[int, ...]): Heads of the attention,
            of all levels or of each. diffusers' configs call it
            ``attention_head_dim``. Defaults to 8.
        use_linear_projection (bool): Whether the transformers project with
            linear layers in place of 1x1 convolutions. Defaults to False.
        text_encoder (str): ``'clip'`` (1.x) or ``'open-clip'`` (2.x), whose
            last layer but one gives the tokens. Defaults to ``'clip'``.
        noise_schedule (str): The noise process that the model was trained
            with, one of :data:`mmdiff.diffusion.SCHEDULES`. Defaults to
            ``'scaled-linear'``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or does not fit another.
    """

    image_size: int = 512
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    cross_attention_dim: int = 768
    num_attention_heads: int | tuple[int, ...] = 8
    use_linear_projection: bool = False
    text_encoder: str = 'clip'
    noise_schedule: str = 'scaled-linear'

    # Latents of 1.x's and 2.x's autoencoder.
    input = ModelInput(channels=4, stride=8, scale=0.18215)
    condition = 'text'

    def __post_init__(self):
        check_positive_ints(self, 'image_size', 'layers_per_block', 'cross_attention_dim')
        check_noise_schedule(self)
        if self.text_encoder not in TEXT_ENCODERS:
            raise ValueError(
                f'text_encoder must be one of {", ".join(TEXT_ENCODERS)}, got {self.text_encoder!r}'
            )
        channels, heads = self.block_out_channels, self.num_attention_heads
        if not isinstance(channels, list | tuple) or len(channels) < 2:
            raise TypeError(f'block_out_channels must name two levels or more, got {channels!r}')
        if not isinstance(heads, list | tuple):
            heads = (heads,) * len(channels)
        # Configs give lists; a frozen, hashable value holds tuples.
        object.__setattr__(self, 'block_out_channels', tuple(channels))
        object.__setattr__(self, 'num_attention_heads', tuple(heads))
        if len(heads) != len(channels):
            raise ValueError(
                f'num_attention_heads={heads!r} and block_out_channels={channels!r} must name the '
                'same levels'
            )
        for level, (width, number) in enumerate(zip(channels, heads, strict=True)):
            if not all(isinstance(n, int) and n >= 1 for n in (width, number)):
                raise TypeError(
                    'block_out_channels and num_attention_heads must hold ints of at least 1, got '
                    f'{width!r} and {number!r}'
                )
            if width % 32 or width % number:
                raise ValueError(
                    f'block_out_channels[{level}]={width} must be a multiple of 32, as GroupNorm '
                    f'has 32 groups, and of num_attention_heads[{level}]={number}'
                )

    @property
    def time_channels(self) -> int:
        """Width of the sinusoids of a timestep."""
        return self.block_out_channels[0]

    @property
    def middle(self) -> int:
        """Number of the middle block (13 for the published models)."""
        return len(self.block_out_channels) * (self.layers_per_block + 1) + 1

    @property
    def decoder_levels(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the blocks of each decoder level, coarsest first."""
        return levels_after(self.middle, len(self.block_out_channels), self.layers_per_block + 1)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, first to last, counted as those of ADM: encoder, middle block, decoder.

        The published models have 25: ``conv_in`` is 1, each residual block
        with its transformer and each downsampler one of 2 to 12, the middle
        block 13, and 14 to 25 the decoder's, where the last of a level ends
        with its upsampler. The paper's b=15 and b=18 (table 11) most likely
        count the middle block's three layers: 13 and 16 here.
        """
        blocks = []

        def add(name, channels, stride):
            blocks.append(Block(len(blocks) + 1, name, channels, stride))

        widths, stride = self.block_out_channels, self.input.stride
        add('conv_in', widths[0], stride)
        for level, width in enumerate(widths):
            for i in range(self.layers_per_block):
                add(f'down_blocks.{level}.resnets.{i}', width, stride)
            if level < len(widths) - 1:
                stride *= 2
                add(f'down_blocks.{level}.downsamplers.0', width, stride)
        add('mid_block', widths[-1], stride)
        for level, width in enumerate(reversed(widths)):
            for i in range(self.layers_per_block + 1):
                if i == self.layers_per_block and level < len(widths) - 1:
                    stride //= 2
                add(f'up_blocks.{level}.resnets.{i}', width, stride)
        return tuple(blocks)


ARCHITECTURES: dict[str, StableDiffusionArchitecture] = {
    # 1.1 to 1.5, and what was fine-tuned from them.
    'sd-1': StableDiffusionArchitecture(),
    # 2.0 and 2.1, the base models; those for 768 px are the same network.
    'sd-2': StableDiffusionArchitecture(
        cross_attention_dim=1024,
        num_attention_heads=(5, 10, 20, 20),
        use_linear_projection=True,
        text_encoder='open-clip',
    ),
    # Not published: to be trained from random weights on a CPU, on small images.
    'sd-64-small': StableDiffusionArchitecture(
        image_size=64,
        block_out_channels=(32, 64, 128),
        layers_per_block=1,
        cross_attention_dim=32,
        num_attention_heads=4,
    ),
}


def get_stable_diffusion_architecture(
    arch: str | dict | StableDiffusionArchitecture,
) -> StableDiffusionArchitecture:
    """Look an architecture up by name, or build one from its fields.

    Args:
        arch (str | dict | StableDiffusionArchitecture): A name in
            :data:`ARCHITECTURES`, the fields of
            :class:`StableDiffusionArchitecture`, or an architecture.

    Returns:
        StableDiffusionArchitecture: The architecture.

    Raises:
        TypeError: If ``arch`` is none of these.
        ValueError: If the name or a field is unknown, or a value is bad.
    """
    return look_up(arch, StableDiffusionArchitecture, ARCHITECTURES)
