"""What a file is that should be a checkpoint, and is not."""

import tarfile
import zipfile
from os import PathLike
from pathlib import Path

# What foreign files begin with, what they are, and what to do.
BEGINNINGS = (
    (
        b'version https://git-lfs',
        'is a pointer of Git LFS, not the file: run `git lfs pull` in its repository, or download '
        'the file',
    ),
    (
        (b'<!', b'<html', b'<HTML', b'<?xml'),
        'is a web page, as servers send where a file is not free or not there: download it in a '
        'browser, and look at its size',
    ),
    (b'{', 'is JSON text: name the file with the weights'),
    ((b'\x1f\x8b', b'BZh', b'\xfd7zXZ', b'7z\xbc\xaf', b'Rar!'), 'is an archive: unpack it'),
)
WEIGHTS = ('.pt', '.pth', '.ckpt', '.bin', '.safetensors')


def is_safetensors(path: str | PathLike) -> bool:
    """Whether a file has the header of safetensors, whatever its name.

    Args:
        path (str | PathLike): The file.

    Returns:
        bool: Whether it has.
    """
    with open(path, 'rb') as file:
        head = file.read(9)
    # The length of a dict in JSON, and its beginning.
    return head[8:] == b'{' and int.from_bytes(head[:8], 'little') < Path(path).stat().st_size


def describe_unreadable(path: str | PathLike) -> str:
    """What is wrong with a file that PyTorch cannot read, and what to do.

    Args:
        path (str | PathLike): The file.

    Returns:
        str: What follows on its name in a message.
    """
    with open(path, 'rb') as file:
        head = file.read(64).lstrip()
    if not head:
        return 'is empty: the download or the copy failed'
    for beginnings, what in BEGINNINGS:
        if head.startswith(beginnings):
            return what
    if zipfile.is_zipfile(path):
        names = zipfile.ZipFile(path).namelist()
        if not any(name.endswith('data.pkl') for name in names):
            return f'is an archive of other files: unpack it, and name one of {_some(names)}'
        if Path(path).suffix == '.safetensors':
            return 'was written by torch.save: rename it, to end with .pt'
    elif tarfile.is_tarfile(path):
        return 'is an archive: unpack it'
    return 'is truncated, or is not a file that torch.save wrote (nor one of safetensors)'


def describe_folder(path: str | PathLike) -> str:
    """What is in a folder where a file is wanted, and what to do.

    Args:
        path (str | PathLike): The folder.

    Returns:
        str: What follows on its name in a message.
    """
    path = Path(path)
    if next(path.glob('data.pkl'), None) or next(path.glob('*/data.pkl'), None):
        return (
            'is a folder, a checkpoint that something unpacked (browsers do): download it again, '
            'or turn that off'
        )
    files = sorted(file.name for file in path.iterdir() if file.suffix in WEIGHTS)
    named = f'; name one of {_some(files)}' if files else ''
    return f'is a folder, where a file with weights is wanted{named}'


def _some(names: list[str], most: int = 8) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
