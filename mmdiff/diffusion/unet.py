"""The walk over the blocks of a U-Net, whatever its layers: skips, taps, feedback, early exit."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from .denoiser import Denoiser


@dataclass(frozen=True)
class Activation:
    """Where a walk over the blocks stands; any number of walks may go on from it.

    Attributes:
        number (int): The block that ran last, 0 before the first.
        h (Tensor): Its output.
        context (tuple[Tensor, ...]): What every block takes besides, such as
            the embedding of the timestep.
        skips (tuple[Tensor | None, ...]): What the encoder blocks so far left
            for the decoder, None where nothing will take it.
        taps (Mapping[int, Tensor]): Outputs of earlier blocks that were asked
            for, by block number.
    """

    number: int
    h: Tensor
    context: tuple[Tensor, ...]
    skips: tuple[Tensor | None, ...] = ()
    taps: Mapping[int, Tensor] = field(default_factory=dict)


class UNetDenoiser(Denoiser):
    """A denoiser with an encoder, a middle block, and a decoder that takes the encoder's outputs.

    Decoder block 2 * middle - n takes the output of encoder block n. A family
    gives the blocks, each called with the map and the context.
    """

    def features(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        blocks: Sequence[int],
        condition: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Features after some blocks, in one walk that ends with the deepest.

        Args:
            x_t (Tensor): Noised images or latents, as of :class:`Denoiser`.
            timesteps (Tensor): Shape (N, ), or (1, ) for all alike, from 0 to
                999. The latter is faster.
            blocks (Sequence[int]): Block numbers, counted from 1.
            condition (Tensor, optional): What the family is conditioned on.

        Returns:
            tuple[Tensor, ...]: A map of shape (N, C_b, H_b, W_b) for each of
            ``blocks``, in their order.
        """
        return self.features_after(self._start(x_t, timesteps, condition), blocks)

    def prefix(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        last: int,
        deepest: int,
        blocks: Collection[int] = (),
        condition: Tensor | None = None,
    ) -> Activation:
        """Run the first blocks, for several walks to go on from there.

        Args:
            x_t (Tensor): Noised images or latents, as for :meth:`features`.
            timesteps (Tensor): Shape (N, ), or (1, ) for all alike, from 0 to
                999. The latter is faster.
            last (int): The last block to run, 0 for none.
            deepest (int): The deepest block that any of the walks will reach.
            blocks (Collection[int]): Blocks whose features the walks will be
                asked for. Defaults to none.
            condition (Tensor, optional): As for :meth:`features`.

        Returns:
            Activation: What comes into block ``last + 1``.
        """
        return self._walk(self._start(x_t, timesteps, condition), last, deepest, blocks)

    def _start(self, x_t: Tensor, timesteps: Tensor, condition: Tensor | None) -> Activation:
        return Activation(0, x_t, self.context(timesteps, condition, x_t.shape[0]))

    @abstractmethod
    def context(
        self, timesteps: Tensor, condition: Tensor | None, batch_size: int
    ) -> tuple[Tensor, ...]:
        """What every block takes besides the map.

        Args:
            timesteps (Tensor): As for :meth:`features`.
            condition (Tensor, optional): As for :meth:`features`.
            batch_size (int): Number of maps.

        Returns:
            tuple[Tensor, ...]: Such as the embedding of the timestep.
        """

    def features_after(
        self,
        start: Activation,
        blocks: Sequence[int],
        feedback: Mapping[int, Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """Features after some blocks, in a walk that goes on from another.

        Args:
            start (Activation): Where the walk begins.
            blocks (Sequence[int]): Numbers of blocks, after ``start`` or among
                its taps.
            feedback (Mapping[int, Tensor], optional): What to add to the
                output of encoder blocks after ``start``, hence also to their
                skip connections; of the output's shape. Defaults to None.

        Returns:
            tuple[Tensor, ...]: As of :meth:`features`.

        Raises:
            ValueError: If ``start`` is past one of the blocks that ``blocks``
                or ``feedback`` name.
        """
        for number in (*(b for b in blocks if b not in start.taps), *(feedback or ())):
            if number <= start.number:
                raise ValueError(f'block {number} is not after block {start.number}, the start')
        end = self._walk(start, max(blocks), max(blocks), blocks, feedback)
        return tuple(end.taps[number] for number in blocks)

    def _walk(
        self,
        start: Activation,
        last: int,
        deepest: int,
        blocks: Collection[int],
        feedback: Mapping[int, Tensor] | None = None,
    ) -> Activation:
        """Run the blocks up to ``last``, and tap ``blocks`` on the way."""
        middle = self.arch.middle
        h, skips, taps = start.h, list(start.skips), dict(start.taps)
        remaining = islice(self.blocks(), start.number, last)
        for number, block in enumerate(remaining, start=start.number + 1):
            if number > middle:
                h = torch.cat([h, skips.pop()], dim=1)
            h = self._run(block, h, *start.context)
            if feedback and number in feedback:
                h = h + feedback[number]
            if number in blocks:
                taps[number] = h
            if number < middle:
                # Decoder block 2 * middle - n takes the skip of block n.
                skips.append(h if 2 * middle - number <= deepest else None)
        return Activation(last, h, start.context, tuple(skips), taps)
