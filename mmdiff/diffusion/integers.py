"""What counts as an integer."""

from numbers import Integral
from typing import Any


def is_int(value: Any) -> bool:
    """Whether a value is an int, of Python or NumPy, and no bool.

    Args:
        value (Any): The value.

    Returns:
        bool: Whether it is.
    """
    return isinstance(value, Integral) and not isinstance(value, bool)
