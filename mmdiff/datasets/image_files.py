"""Which files are images."""

from os import PathLike
from pathlib import Path

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
# What operating systems leave among a user's files.
_OF_THE_SYSTEM = ('__MACOSX', 'Thumbs.db', 'desktop.ini', '$RECYCLE.BIN')


def is_hidden(path: str | PathLike) -> bool:
    """Whether a file or folder is one that operating systems or editors leave behind.

    Args:
        path (str | PathLike): A path below a folder of images, as of there.

    Returns:
        bool: True for ``._cat.jpg``, ``__MACOSX/cat.jpg``, ``.DS_Store``,
        ``Thumbs.db``, ``.ipynb_checkpoints`` and the like.
    """
    return any(part.startswith('.') or part in _OF_THE_SYSTEM for part in Path(path).parts)


def is_image_file(path: str | PathLike) -> bool:
    """Whether a file is an image, by its name.

    Args:
        path (str | PathLike): A path below a folder of images, as of there.

    Returns:
        bool: True for what ends with one of ``SUFFIXES``, in upper or lower
        case, and is not hidden.
    """
    return Path(path).suffix.lower() in SUFFIXES and not is_hidden(path)


def list_images(path: str | PathLike) -> list[Path]:
    """The image files of a folder, or a file as it is.

    Args:
        path (str | PathLike): A file, or a folder.

    Returns:
        list[Path]: The file, or what is directly in the folder and has the
        suffix of an image, sorted by name, without hidden files.

    Raises:
        FileNotFoundError: If there is no such file or folder, or no image in
            the folder.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f'images: {path} is no file and no folder')
    found = sorted(file for file in path.iterdir() if is_image_file(file.name) and file.is_file())
    if not found:
        raise FileNotFoundError(f'images: {path} has no file that ends with {", ".join(SUFFIXES)}')
    return found
