"""Going through more rows than memory holds."""

from collections.abc import Iterator

MAX_BYTES = 2**26


def row_slices(shape: tuple[int, int], max_rows: int = 16384) -> Iterator[slice]:
    """Slices of the rows of a matrix, in order, of up to 64 MiB in float32.

    Args:
        shape (tuple[int, int]): Rows and columns of the matrix.
        max_rows (int): Rows of a slice. Defaults to 16384.

    Yields:
        slice: The next rows.
    """
    num_rows, num_columns = shape
    step = max(1, min(max_rows, MAX_BYTES // (4 * num_columns)))
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))
