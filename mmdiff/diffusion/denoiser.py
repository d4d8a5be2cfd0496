"""What every denoiser answers: its blocks, its input, its noise process, and features of blocks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .integers import is_int
from .kept import KeepsResults
from .schedule import SCHEDULES


@dataclass(frozen=True)
class Block:
    """One numbered block of a denoiser.

    Attributes:
        number (int): Its number, from 1.
        name (str): Where its parameters stand in a state dict, e.g.
            ``'input_blocks.3'``.
        channels (int): Channels of the output.
        stride (int): Side of the image in pixels over that of the output.
    """

    number: int
    name: str
    channels: int
    stride: int


@dataclass(frozen=True)
class ModelInput:
    """What images in [-1, 1] become before they are noised.

    Attributes:
        channels (int): 3 for pixels, 4 for the latents of Stable Diffusion's
            autoencoder.
        stride (int): Pixels of the image for one position, 1 for pixels.
        scale (float): Factor of the latents.
    """

    channels: int = 3
    stride: int = 1
    scale: float = 1.0

    @property
    def space(self) -> str:
        """``'pixels'`` or ``'latents'``."""
        return 'pixels' if self.stride == 1 else 'latents'


class DenoiserArchitecture(ABC):
    """What is known of a denoiser before it is built.

    A family derives a frozen dataclass of its hyperparameters from it.

    Attributes:
        image_size (int): Side of the square images that the model was trained
            on, in pixels. The network itself takes any size.
        noise_schedule (str): The noise process that it was trained with, one
            of :data:`mmdiff.diffusion.SCHEDULES`.
        input (ModelInput): What images become.
        condition (str): What the network takes besides images and timesteps:
            ``'none'``, ``'class'`` or ``'text'``.
        time_channels (int): Width of the sinusoids of a timestep, which the
            time embedding's layers take.
        middle (int | None): Number of a U-Net's middle block; None for a
            network of another kind.
    """

    image_size: int
    noise_schedule: str
    input: ModelInput = ModelInput()
    condition: str = 'none'
    middle: int | None = None

    @property
    @abstractmethod
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, first to last."""

    @property
    @abstractmethod
    def time_channels(self) -> int:
        """Width of the sinusoids of a timestep."""

    @property
    def num_blocks(self) -> int:
        """Number of the last block."""
        return len(self.blocks)

    @property
    def total_stride(self) -> int:
        """What must divide the sides of an image: the stride of the coarsest block."""
        return max(block.stride for block in self.blocks)

    @property
    def decoder_levels(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the blocks of each level after a U-Net's middle, coarsest first.

        The levels' last blocks end with an upsampling layer. Empty for a
        network without skip connections.
        """
        return ()

    def check_block(self, number: int, argument: str) -> None:
        """Refuse what is not the number of a block.

        Args:
            number (int): What may be a block number.
            argument (str): Name of the user's argument, for the message.

        Raises:
            TypeError: If ``number`` is not an integer.
            ValueError: If the architecture has no such block.
        """
        if not is_int(number):
            raise TypeError(f'{argument} must hold block numbers (int), got {number!r}')
        if not 1 <= number <= self.num_blocks:
            middle = f' ({self.middle} is the middle block)' if self.middle else ''
            raise ValueError(
                f'{argument} has block {number}, but this architecture has blocks 1 to '
                f'{self.num_blocks}{middle}'
            )


AnyArchitecture = TypeVar('AnyArchitecture', bound=DenoiserArchitecture)


def look_up(
    arch: str | dict | AnyArchitecture,
    family: type[AnyArchitecture],
    known: dict[str, AnyArchitecture],
) -> AnyArchitecture:
    """Look an architecture of a family up by name, or build one from its fields.

    Args:
        arch (str | dict | DenoiserArchitecture): A name in ``known``, the
            fields of ``family``, or an architecture.
        family (type): The class of the family's architectures.
        known (dict[str, DenoiserArchitecture]): The published ones.

    Returns:
        DenoiserArchitecture: The architecture.

    Raises:
        TypeError: If ``arch`` is none of these, or lacks a needed field.
        ValueError: If the name or a field is unknown, or a value is bad.
    """
    # Not of a class derived from it, such as the classifier's of the U-Net's.
    if type(arch) is family:
        return arch
    if isinstance(arch, str):
        if arch not in known:
            raise ValueError(f'arch={arch!r} is unknown; known are {", ".join(known)}')
        return known[arch]
    if not isinstance(arch, dict):
        raise TypeError(f'arch must be a name or a dict of fields, got {arch!r}')
    names = [field.name for field in fields(family)]
    unknown = sorted(set(arch) - set(names))
    if unknown:
        raise ValueError(f'arch has unknown fields {unknown}; known are {", ".join(names)}')
    return family(**arch)


def levels_after(middle: int, num_levels: int, size: int) -> tuple[tuple[int, ...], ...]:
    """Numbers of the blocks after a U-Net's middle, level by level.

    Args:
        middle (int): Number of the middle block.
        num_levels (int): Number of levels.
        size (int): Blocks of each.

    Returns:
        tuple[tuple[int, ...], ...]: The numbers, coarsest level first.
    """
    starts = range(middle + 1, middle + 1 + size * num_levels, size)
    return tuple(tuple(range(start, start + size)) for start in starts)


def check_positive_ints(arch: DenoiserArchitecture, *names: str) -> None:
    """Refuse fields of an architecture that are not ints of at least 1.

    Args:
        arch (DenoiserArchitecture): The architecture.
        *names (str): The fields.

    Raises:
        TypeError: If one is not an int.
        ValueError: If one is less than 1.
    """
    for name in names:
        value = getattr(arch, name)
        if not is_int(value):
            raise TypeError(f'{name} must be an int, got {value!r}')
        if value < 1:
            raise ValueError(f'{name} must be at least 1, got {value!r}')


def check_noise_schedule(arch: DenoiserArchitecture) -> None:
    """Refuse an architecture whose noise process is unknown.

    Args:
        arch (DenoiserArchitecture): The architecture.

    Raises:
        ValueError: If it is.
    """
    if arch.noise_schedule not in SCHEDULES:
        allowed = ', '.join(map(repr, SCHEDULES))
        raise ValueError(f'noise_schedule must be one of {allowed}, got {arch.noise_schedule!r}')


class Denoiser(KeepsResults, ABC):
    """A diffusion model's network: features of any set of blocks, in one walk over the blocks.

    Args:
        arch (DenoiserArchitecture): The architecture.
        last_block (int, optional): The deepest block to build. Later blocks
            and the output layer do not exist then. Defaults to None: all.
        gradient_checkpointing (bool): Keep only the outputs of blocks in the
            forward and compute the rest again in the backward: less memory
            for more time. Defaults to False.

    Attributes:
        blocks (Callable): Gives the blocks that are built, first to last.
        marks (tuple[str, ...]): Keys by which a state dict of its family is
            known, the family's own first, of
            :data:`mmdiff.diffusion.checkpoint.MARKS`.
        embedding_layers (tuple[str, ...]): Names of what takes the embedding
            of the timestep in a block.

    Raises:
        TypeError: If ``last_block`` is not an integer.
        ValueError: If the architecture has no such block.
    """

    marks: tuple[str, ...]
    embedding_layers: tuple[str, ...]
    # No method: in some families, released weights have this name too.
    blocks: Callable[[], Iterator[nn.Module]]

    def __init__(
        self,
        arch: DenoiserArchitecture,
        last_block: int | None = None,
        gradient_checkpointing: bool = False,
    ):
        super().__init__()
        if last_block is not None:
            arch.check_block(last_block, 'last_block')
        self.arch = arch
        self.last_block = last_block or arch.num_blocks
        self.gradient_checkpointing = gradient_checkpointing
        self.frozen_blocks = frozenset()

    @abstractmethod
    def features(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        blocks: Sequence[int],
        condition: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Features after some blocks, in one walk that ends with the deepest.

        Args:
            x_t (Tensor): Noised images or latents, shape (N, C, H, W), with
                sides that are multiples of the architecture's
                ``total_stride``, over its ``input.stride``.
            timesteps (Tensor): Shape (N, ), or (1, ) for all alike, from 0 to
                999. The latter is faster. In their place, vectors of shape
                (N or 1, time_channels), as of :func:`time_vectors`.
            blocks (Sequence[int]): Block numbers, counted from 1.
            condition (Tensor, optional): What the family is conditioned on.

        Returns:
            tuple[Tensor, ...]: A map of shape (N, C_b, H_b, W_b) for each of
            ``blocks``, in their order.
        """

    @abstractmethod
    def embeddings(self) -> Iterator[nn.Module]:
        """What embeds timesteps and conditions, frozen with block 1."""

    def freeze(self, blocks: Collection[int]) -> None:
        """Freeze some blocks for good, and the embeddings with block 1.

        Frozen parts stay in eval mode. Where none of the parameters up to a
        block needs a gradient, autograd keeps no graph up to there.

        Args:
            blocks (Collection[int]): Numbers of the blocks to freeze.
        """
        self.frozen_blocks = frozenset(blocks)
        for module in self._frozen_modules():
            module.requires_grad_(False)
        self.train(self.training)

    def _frozen_modules(self) -> Iterator[nn.Module]:
        if 1 in self.frozen_blocks:
            yield from self.embeddings()
        for number, block in enumerate(self.blocks(), start=1):
            if number in self.frozen_blocks:
                yield block

    def train(self, mode: bool = True) -> 'Denoiser':
        """Set the training mode of all that is not frozen."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def keep_embeddings(self) -> None:
        """Compute embeddings, and what blocks make of them, once, see :class:`KeepsResults`."""
        for module in self.modules():
            if isinstance(module, KeepsResults):
                module.keep_results()

    def _run(self, block: nn.Module, h: Tensor, *context: Tensor) -> Tensor:
        if (
            self.gradient_checkpointing
            and torch.is_grad_enabled()
            and (
                any(tensor.requires_grad for tensor in (h, *context))
                or any(parameter.requires_grad for parameter in block.parameters())
            )
        ):
            return checkpoint(block, h, *context, use_reentrant=False)
        return block(h, *context)
