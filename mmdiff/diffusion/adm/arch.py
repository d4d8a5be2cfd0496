"""The architectures of the ADM U-Net and the numbering of its blocks.

ADM is the "ablated diffusion model" of Dhariwal and Nichol, *Diffusion Models
Beat GANs on Image Synthesis* (https://arxiv.org/abs/2105.05233), released as
guided-diffusion. A user can ask for the channels and the stride of a block
before anything is built.
"""

from dataclasses import asdict, dataclass
from functools import cached_property

from ..denoiser import (
    Block,
    DenoiserArchitecture,
    check_noise_schedule,
    check_positive_ints,
    levels_after,
    look_up,
)


@dataclass(frozen=True)
class ADMBlock(Block):
    """One numbered block of the U-Net, counted as in the paper (section 2.1).

    Attributes:
        in_channels (int): Channels of the input, the skip connection's
            ``skip_channels`` included.
        skip_channels (int): Channels that come over the skip connection, 0
            outside the decoder.
        attention (bool): Whether self-attention follows the residual block.
        resample (str | None): ``'down'`` where the block is a downsampling
            layer, ``'up'`` where it ends with an upsampling layer.
    """

    in_channels: int
    skip_channels: int
    attention: bool
    resample: str | None = None


@dataclass(frozen=True)
class Architecture(DenoiserArchitecture):
    """Hyperparameters of an ADM U-Net, named as in guided-diffusion.

    Args:
        image_size (int): Side of the square images that the model was trained
            on, in pixels. The network itself takes any size.
        model_channels (int): Base channel count. A multiple of 32, as every
            GroupNorm has 32 groups.
        channel_mult (tuple[float, ...]): Channels of each level, as multiples
            of ``model_channels``.
        num_res_blocks (int): Residual blocks per encoder level.
        attention_resolutions (tuple[int, ...]): Sizes of the feature maps, at
            ``image_size``, that have self-attention.
        num_heads (int): Attention heads, where ``num_head_channels`` is None.
        num_head_channels (int, optional): Channels of one attention head.
        resblock_updown (bool): Resample in residual blocks rather than with a
            strided, or nearest-neighbour and then ordinary, convolution.
        use_scale_shift_norm (bool): Let the time embedding scale and shift
            the normalised features rather than be added to them.
        use_new_attention_order (bool): Split the attention's projection into
            queries, keys and values before splitting it into heads.
        learn_sigma (bool): Predict the variance too (6 output channels).
        num_classes (int, optional): Classes of a class-conditional model.
        dropout (float): Dropout rate in the residual blocks, in training.
        noise_schedule (str): The noise process that the model was trained
            with, one of :data:`mmdiff.diffusion.SCHEDULES`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or does not fit another.
    """

    image_size: int
    model_channels: int
    channel_mult: tuple[float, ...]
    num_res_blocks: int = 2
    attention_resolutions: tuple[int, ...] = (32, 16, 8)
    num_heads: int = 4
    num_head_channels: int | None = None
    resblock_updown: bool = True
    use_scale_shift_norm: bool = True
    use_new_attention_order: bool = False
    learn_sigma: bool = True
    num_classes: int | None = None
    dropout: float = 0.0
    noise_schedule: str = 'linear'

    def __post_init__(self):
        optional = ('num_head_channels', 'num_classes')
        check_positive_ints(
            self,
            *('image_size', 'model_channels', 'num_res_blocks', 'num_heads'),
            *(name for name in optional if getattr(self, name) is not None),
        )
        for name in ('channel_mult', 'attention_resolutions'):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or not all(
                isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in value
            ):
                raise TypeError(f'{name} must be a sequence of positive numbers, got {value!r}')
            # Configs give lists; a frozen, hashable value holds tuples.
            object.__setattr__(self, name, tuple(value))
        if not self.channel_mult:
            raise ValueError('channel_mult must name at least one level, got ()')
        if not 0 <= self.dropout < 1:
            raise ValueError(f'dropout must be in [0, 1), got {self.dropout!r}')
        check_noise_schedule(self)
        for level, channels in enumerate(self.level_channels):
            if channels % 32:
                raise ValueError(
                    f'level {level} has {channels} channels (model_channels='
                    f'{self.model_channels} x channel_mult[{level}]={self.channel_mult[level]}); '
                    'every level needs a multiple of 32, as GroupNorm has 32 groups'
                )
        for block in self.blocks:
            if block.attention and block.channels % self.head_divisor:
                raise ValueError(
                    f'block {block.number} has attention on {block.channels} channels, which '
                    f'{"num_head_channels" if self.num_head_channels else "num_heads"}='
                    f'{self.head_divisor} does not divide'
                )

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(int(m * self.model_channels) for m in self.channel_mult)

    @property
    def head_divisor(self) -> int:
        """What must divide the channels of a block with attention."""
        return self.num_head_channels or self.num_heads

    @property
    def condition(self) -> str:
        """``'class'`` for a class-conditional model, else ``'none'``."""
        return 'none' if self.num_classes is None else 'class'

    @property
    def time_channels(self) -> int:
        """Width of the sinusoids of a timestep."""
        return self.model_channels

    @property
    def middle(self) -> int:
        """Number of the middle block (19 for the 256x256 model)."""
        return len(self.channel_mult) * (self.num_res_blocks + 1) + 1

    @property
    def decoder_levels(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the blocks of each decoder level, coarsest first."""
        return levels_after(self.middle, len(self.channel_mult), self.num_res_blocks + 1)

    @cached_property
    def blocks(self) -> tuple[ADMBlock, ...]:
        """All blocks, first to last: encoder, middle block, decoder.

        The 256x256 model has 37: 1 to 18 are ``input_blocks``, 19 is
        ``middle_block``, 20 to 37 are ``output_blocks`` (paper, section 2.1).
        """
        return self._all_blocks()

    def _all_blocks(self) -> tuple[ADMBlock, ...]:
        attention_strides = {self.image_size // size for size in self.attention_resolutions}
        widths = self.level_channels
        blocks = []

        def add(name, in_channels, channels, stride, skip=0, attention=False, resample=None):
            number = len(blocks) + 1
            blocks.append(
                ADMBlock(number, name, channels, stride, in_channels, skip, attention, resample)
            )
            return channels

        channels = add('input_blocks.0', 3, widths[0], stride=1)
        stride = 1
        for level, width in enumerate(widths):
            for _ in range(self.num_res_blocks):
                name = f'input_blocks.{len(blocks)}'
                channels = add(name, channels, width, stride, attention=stride in attention_strides)
            if level < len(widths) - 1:
                stride *= 2
                add(f'input_blocks.{len(blocks)}', channels, channels, stride, resample='down')
        skips = [block.channels for block in blocks]
        add('middle_block', channels, channels, stride, attention=True)
        for level in reversed(range(len(widths))):
            for i in range(self.num_res_blocks + 1):
                skip = skips.pop()
                attention = stride in attention_strides
                up = level > 0 and i == self.num_res_blocks
                if up:
                    stride //= 2
                channels = add(
                    f'output_blocks.{len(blocks) - self.middle}',
                    channels + skip,
                    widths[level],
                    stride,
                    skip=skip,
                    attention=attention,
                    resample='up' if up else None,
                )
        return tuple(blocks)


_ADM_256 = Architecture(
    image_size=256,
    model_channels=256,
    channel_mult=(1, 1, 2, 2, 4, 4),
    num_head_channels=64,
)


def _variant(base, **changes):
    return Architecture(**(asdict(base) | changes))


ARCHITECTURES: dict[str, Architecture] = {
    # The published guided-diffusion checkpoints, flags as in its README.
    'adm-64': Architecture(
        image_size=64,
        model_channels=192,
        channel_mult=(1, 2, 3, 4),
        num_res_blocks=3,
        num_head_channels=64,
        use_new_attention_order=True,
        num_classes=1000,
        dropout=0.1,
        noise_schedule='cosine',
    ),
    'adm-128': Architecture(
        image_size=128,
        model_channels=256,
        channel_mult=(1, 1, 2, 3, 4),
        num_heads=4,
        num_classes=1000,
    ),
    'adm-256': _variant(_ADM_256, num_classes=1000),
    'adm-256-uncond': _ADM_256,
    'adm-512': _variant(
        _ADM_256, image_size=512, channel_mult=(0.5, 1, 1, 2, 2, 4, 4), num_classes=1000
    ),
    # lsun_bedroom.pt, lsun_cat.pt and lsun_horse.pt. For
    # lsun_horse_nodropout.pt take 'adm-256-uncond'.
    'adm-256-lsun': _variant(_ADM_256, dropout=0.1),
    # Not published: to be trained on one GPU (medium) or on a CPU (small) in less than an hour.
    'adm-64-medium': Architecture(
        image_size=64,
        model_channels=128,
        channel_mult=(1, 2, 3, 4),
        attention_resolutions=(16, 8),
        num_head_channels=64,
    ),
    'adm-64-small': Architecture(
        image_size=64,
        model_channels=32,
        channel_mult=(1, 1, 2, 4),
        num_res_blocks=1,
        attention_resolutions=(8,),
        num_head_channels=32,
    ),
    'adm-32-small': Architecture(
        image_size=32,
        model_channels=32,
        channel_mult=(1, 2, 4),
        num_res_blocks=1,
        attention_resolutions=(8,),
        num_head_channels=32,
    ),
}


def get_architecture(arch: str | dict | Architecture) -> Architecture:
    """Look an architecture up by name, or build one from its fields.

    Args:
        arch (str | dict | Architecture): A name in :data:`ARCHITECTURES`, the
            fields of :class:`Architecture`, or an architecture.

    Returns:
        Architecture: The architecture.

    Raises:
        TypeError: If ``arch`` is none of these, or lacks a needed field.
        ValueError: If the name or a field is unknown, or a value is bad.
    """
    return look_up(arch, Architecture, ARCHITECTURES)
