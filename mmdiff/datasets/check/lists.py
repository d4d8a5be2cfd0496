"""The check of a list of images for MMSegmentation."""

from os import PathLike
from pathlib import Path

from mmdiff.datasets.lists import read_list

from .report import Faults

BYTE_ORDER_MARK = b'\xef\xbb\xbf'


def check_list(path: str | PathLike, suffix: str, faults: Faults) -> None:
    """Find what MMSegmentation would misread in a list, where each line is a name without suffix.

    Args:
        path (str | PathLike): The list.
        suffix (str): The suffix of the images.
        faults (Faults): Gets what is wrong.
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
