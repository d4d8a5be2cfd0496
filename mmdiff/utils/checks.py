"""Refuse settings that are of the wrong type or out of range."""

from collections.abc import Collection, Sequence

import numpy as np

from mmdiff.diffusion.integers import is_int


def as_ints(name: str, values: int | Sequence[int]) -> tuple[int, ...]:
    """One or more ints, of Python or NumPy, as a tuple of Python's.

    Args:
        name (str): Name of the argument, for the message.
        values (int | Sequence[int]): An int, or a list, tuple, range or array
            of shape (N, ) of ints.

    Returns:
        tuple[int, ...]: The ints.

    Raises:
        TypeError: If it is something else.
    """
    if is_int(values):
        return (int(values),)
    numbers = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(numbers, Sequence) or isinstance(numbers, str | bytes):
        raise TypeError(f'{name} must be an int or a sequence of ints, got {values!r}')
    for number in numbers:
        if not is_int(number):
            raise TypeError(f'{name} must be an int or a sequence of ints, got {values!r}')
    return tuple(int(number) for number in numbers)


def check_int(name: str, value: int, low: int = 1, high: int | None = None) -> None:
    """Refuse what is not an int in a range, of Python or NumPy.

    Args:
        name (str): Name of the argument, for the message.
        value (int): Its value.
        low (int): The least that is allowed. Defaults to 1.
        high (int, optional): The most. Defaults to None: no limit.

    Raises:
        TypeError: If it is not an int.
        ValueError: If it is out of range.
    """
    allowed = f'an int from {low} to {high}' if high is not None else f'an int of at least {low}'
    if not is_int(value):
        raise TypeError(f'{name} must be {allowed}, got {value!r}')
    if value < low or (high is not None and value > high):
        raise ValueError(f'{name} must be {allowed}, got {value}')


def check_ints(name: str, values: Sequence[int]) -> None:
    """Refuse what is not a list or tuple of ints of at least 1.

    Args:
        name (str): Name of the argument, for the message.
        values (Sequence[int]): Its value.

    Raises:
        TypeError: If it is not a list or tuple of ints.
        ValueError: If one of them is less than 1.
    """
    if not isinstance(values, list | tuple | range):
        raise TypeError(f'{name} must be a list or tuple of ints of at least 1, got {values!r}')
    for number, value in enumerate(values):
        check_int(f'{name}[{number}]', value)


def check_bool(name: str, value: bool) -> None:
    """Refuse what is not True or False.

    Args:
        name (str): Name of the argument, for the message.
        value (bool): Its value.

    Raises:
        TypeError: If it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f'{name} must be True or False, got {value!r}')


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Refuse what is none of some choices.

    Args:
        name (str): Name of the argument, for the message.
        value (str): Its value.
        choices (Collection[str]): What is allowed.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in list(choices):
        raise ValueError(f'{name} must be one of {", ".join(choices)}, got {value!r}')


def check_norm_cfg(norm_cfg: dict | None, name: str = 'norm_cfg') -> None:
    """Refuse what is neither None nor the config of a norm.

    Args:
        norm_cfg (dict, optional): The value.
        name (str): Name of the argument, for the message. Defaults to
            ``'norm_cfg'``.

    Raises:
        TypeError: If it is something else.
    """
    if norm_cfg is not None and not (isinstance(norm_cfg, dict) and 'type' in norm_cfg):
        raise TypeError(f"{name} must be a dict with a 'type', or None, got {norm_cfg!r}")
