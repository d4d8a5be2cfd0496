"""Lists of images in text files."""

from os import PathLike
from pathlib import Path

BYTE_ORDER_MARK = b'\xef\xbb\xbf'


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


def list_faults(path: str | PathLike, faults, suffix: str) -> None:
    """Find what MMSegmentation would misread in a list, where each line is a name without suffix.

    Args:
        path (str | PathLike): The list.
        faults (Faults): Gets what is wrong.
        suffix (str): The suffix of the images.
    """
    content = Path(path).read_bytes()
    try:
        lines = dict(read_list(path, content))
    except ValueError as error:
        faults.error('list', str(error))
        return
    if content.startswith(BYTE_ORDER_MARK):
        faults.error(
            'byte-order mark',
            f'{path} begins with a byte-order mark, which becomes part of its first name: save it '
            'as UTF-8 without',
        )
    blank = sorted(set(range(1, len(content.decode('utf-8-sig').splitlines()) + 1)) - set(lines))
    if blank:
        faults.error('blank', f'{path}, line {blank[0]} is blank: remove it')
    for number, line in lines.items():
        if line.lower().endswith(suffix.lower()):
            faults.error(
                'suffix in list',
                f'{path}, line {number}: {line!r} has a suffix, and {suffix!r} (img_suffix) is '
                'added: remove it from the list',
            )
