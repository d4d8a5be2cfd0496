"""Reading the files of a data set, all or a sample of them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from mmengine import fileio

from mmdiff.datasets.image_files import SUFFIXES, is_hidden

# How many files a pool reads before more are asked for.
AT_ONCE = 64


def indices_of(length: int, sample: int | None) -> Iterator[int]:
    """Which files to look at, and in which order.

    Args:
        length (int): How many there are.
        sample (int, optional): None where all are looked at.

    Yields:
        int: All, in order; or for a sample in a random one, always the same.
    """
    order = range(length) if sample is None else np.random.default_rng(0).permutation(length)
    yield from map(int, order)


def in_threads(function, items) -> Iterator:
    """``map`` with threads: Pillow decodes without holding Python's lock.

    Args:
        function (callable): What to do with each item.
        items (Iterable): The items, taken a few at a time.

    Yields:
        What the function returned, in order.
    """
    items = iter(items)
    with ThreadPoolExecutor() as pool:
        while several := list(islice(items, AT_ONCE)):
            yield from pool.map(function, several)


def read(dataset, path: str) -> bytes:
    """What is in a file of a data set.

    Args:
        dataset (BaseDataset): May have ``backend_args``.
        path (str): The file.

    Returns:
        bytes: Its content.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    try:
        return fileio.get(path, backend_args=getattr(dataset, 'backend_args', None))
    except FileNotFoundError:
        raise FileNotFoundError(f'{path} is not there') from None


def files_below(folder: str, backend_args: dict | None = None) -> list[str]:
    """The files of a folder and of those in it, without hidden ones.

    Args:
        folder (str): The folder.
        backend_args (dict, optional): Of MMEngine's file backend.

    Returns:
        list[str]: Their paths as of the folder, sorted.
    """
    if not fileio.isdir(folder, backend_args):
        return []
    found = fileio.list_dir_or_file(
        folder, list_dir=False, recursive=True, backend_args=backend_args
    )
    return sorted(path for path in found if not is_hidden(path))


def left_out(found: Sequence[str], used: set[str]) -> list[str]:
    """The images that a data set does not use.

    Args:
        found (Sequence[str]): Files, as of :func:`files_below`.
        used (set[str]): Those that it uses.

    Returns:
        list[str]: The other images, and what else is no text.
    """
    suffixes = (*SUFFIXES, '.gif', '.heic', '.heif', '.avif', '.jp2', '.jfif')
    return [f for f in found if f not in used and Path(f).suffix.lower() in suffixes]
