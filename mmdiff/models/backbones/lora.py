"""The argument ``lora`` of the backbones."""

from mmdiff.utils import as_ints, check_int


def find_lora(lora: dict | None, frozen: str | int | None, deepest: int) -> dict | None:
    """What :func:`mmdiff.diffusion.add_lora` takes.

    Args:
        lora (dict, optional): ``dict(rank=..., blocks=...)``, as of
            :class:`DiffusionBackbone`.
        frozen (str | int, optional): As of :class:`DiffusionBackbone`.
        deepest (int): The deepest block whose features are returned. What
            comes after it gets no gradient.

    Returns:
        dict | None: ``rank`` and ``blocks``; None for no adapters.

    Raises:
        TypeError: If ``lora`` or something in it is of the wrong type.
        ValueError: If something in it is missing, unknown or out of range, or
            the network would be trained besides.
    """
    if lora is None:
        return None
    if not isinstance(lora, dict):
        raise TypeError(f'lora must be a dict(rank=..., blocks=...) or None, got {lora!r}')
    if not {'rank'} <= lora.keys() <= {'rank', 'blocks'}:
        raise ValueError(
            f'lora must have rank, and may have blocks, and nothing else, got {dict(lora)}'
        )
    if frozen not in (None, 'all'):
        raise ValueError(
            "lora trains adapters of a frozen network: frozen must be 'all' or left out, got "
            f'frozen={frozen!r}. To train the network itself, leave out lora'
        )
    check_int('lora.rank', lora['rank'])
    return dict(rank=int(lora['rank']), blocks=_find_blocks(lora.get('blocks'), deepest))


def _find_blocks(blocks, deepest: int) -> tuple[int, ...]:
    if blocks is None:
        return tuple(range(1, deepest + 1))
    numbers = as_ints('lora.blocks', blocks)
    different = len(set(numbers)) == len(numbers) > 0
    if not different or not set(numbers) <= {*range(1, deepest + 1)}:
        raise ValueError(
            f'lora.blocks must be one or more different blocks from 1 to {deepest}, the deepest of '
            f'blocks, got {blocks!r}'
        )
    return numbers
