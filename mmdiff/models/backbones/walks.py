"""Which timesteps a backbone runs its network at, and which blocks each run is tapped at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmdiff.diffusion import NUM_TIMESTEPS
from mmdiff.utils import check_int

from .input_noise import check_timesteps

# The timestep whose embedding is trained.
LEARNED = 'learned'
# What a backbone takes as ``timestep``: one, several, 'learned', or {block: timestep}.
AnyTimestep = int | str | Sequence[int] | Mapping[int, int]
# What a map is: its timestep and its block.
Tap = tuple[int | str, int]


@dataclass(frozen=True)
class Walk:
    """One run of the network, up to the deepest of its blocks.

    Attributes:
        timestep (int | str): Its timestep, or ``'learned'``.
        blocks (tuple[int, ...]): The blocks whose maps are taken.
    """

    timestep: int | str
    blocks: tuple[int, ...]


def find_walks(timestep: AnyTimestep, blocks: tuple[int, ...]) -> tuple[Walk, ...]:
    """The runs that give the maps of some blocks at some timesteps.

    Args:
        timestep (int | Sequence[int] | Mapping[int, int] | str): One timestep,
            ``'learned'``, or several, at each of which all blocks are tapped;
            or {block: timestep}.
        blocks (tuple[int, ...]): The blocks.

    Returns:
        tuple[Walk, ...]: One for each timestep.

    Raises:
        TypeError: If ``timestep`` is none of these.
        ValueError: If a timestep is out of range or repeated, or a mapping is
            not of ``blocks``.
    """
    if isinstance(timestep, Mapping):
        return _walks_of_blocks(timestep, blocks)
    if isinstance(timestep, str):
        if timestep != LEARNED:
            raise ValueError(
                f'timestep must be an int, several, {LEARNED!r} or {{block: timestep}}, got '
                f'{timestep!r}'
            )
        return (Walk(LEARNED, blocks),)
    return tuple(Walk(t, blocks) for t in check_timesteps(timestep))


def _walks_of_blocks(timestep: Mapping[int, int], blocks: tuple[int, ...]) -> tuple[Walk, ...]:
    if set(timestep) != set(blocks):
        raise ValueError(
            f'timestep={dict(timestep)} must name a timestep for each of blocks={blocks}, and no '
            'other block'
        )
    for number, t in timestep.items():
        check_int(f'timestep[{number}]', t, 0, NUM_TIMESTEPS - 1)
    return tuple(
        Walk(t, tuple(number for number in blocks if timestep[number] == t))
        for t in dict.fromkeys(int(timestep[number]) for number in blocks)
    )


def find_taps(walks: Sequence[Walk], blocks: tuple[int, ...]) -> tuple[tuple[Tap, ...], ...]:
    """What the maps are that a backbone returns, in their order.

    Args:
        walks (Sequence[Walk]): Of :func:`find_walks`.
        blocks (tuple[int, ...]): All blocks.

    Returns:
        tuple[tuple[tuple, ...], ...]: For each tuple of maps, the (timestep,
        block) of each. It is one tuple where blocks have their own timesteps.
    """
    if all(walk.blocks == blocks for walk in walks):
        return tuple(tuple((walk.timestep, number) for number in blocks) for walk in walks)
    own = {number: walk.timestep for walk in walks for number in walk.blocks}
    return (tuple((own[number], number) for number in blocks),)
