"""Lists of images in text files."""

from os import PathLike
from pathlib import Path


def read_list(path: str | PathLike, content: bytes | None = None) -> list[tuple[int, str]]:
    """The lines of a list, however the editor of a user left it.

    A byte-order mark, blank lines, spaces at the ends of lines, and Windows'
    line ends are left out. Spaces inside a line are kept.

    Args:
        path (str | PathLike): The list.
        content (bytes, optional): What is in it. Defaults to None: it is read.

    Returns:
        list[tuple[int, str]]: Number of each line that is not blank, from 1,
        and the line.

    Raises:
        ValueError: If it is not text in UTF-8.
    """
    content = Path(path).read_bytes() if content is None else content
    try:
        lines = content.decode('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not text in UTF-8: {error}; save it as UTF-8') from error
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
