"""Checkpoints that are named by a URL, or come with mmdiff."""

import re
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
from filelock import FileLock

from mmdiff.diffusion.parts import require_sd

HUB = 'hf://'
SHIPPED = Path(__file__).parent.parent / 'checkpoints'


def local_file(path: str) -> str:
    """Path of a file on this machine, downloaded first if it is a URL.

    Downloads go to PyTorch's hub folder, under the last name in the URL, once:
    they are moved there when they are complete, and other processes that want
    the same file wait.

    Args:
        path (str): A path, an ``http(s)://`` URL, ``mmdiff://NAME`` for a
            checkpoint that comes with mmdiff, or
            ``hf://ORGANISATION/NAME/FILE`` for one on the Hugging Face hub.

    Returns:
        str: The path, with ``~`` expanded.

    Raises:
        ValueError: If it is a URL of another kind.
        FileNotFoundError: If mmdiff has no checkpoint of that name.
        ConnectionError: If the download fails.
    """
    if path.startswith('mmdiff://'):
        shipped = SHIPPED / path.removeprefix('mmdiff://')
        if not shipped.is_file():
            names = ', '.join(sorted(p.name for p in SHIPPED.glob('*.pt')))
            raise FileNotFoundError(f'mmdiff has no checkpoint {shipped.name}; it has {names}')
        return str(shipped)
    if path.startswith(HUB):
        return _from_hub(path, ())
    url = urlparse(path)
    if '://' not in path:
        return str(Path(path).expanduser())
    if url.scheme not in ('http', 'https'):
        raise ValueError(
            'checkpoint must be a path, an http(s):// URL, or mmdiff://NAME for one that comes '
            f'with mmdiff, or hf://ORGANISATION/NAME/FILE, got {path}'
        )
    if not Path(url.path).name:
        raise ValueError(f'checkpoint must name a file, got {path}')
    target = Path(torch.hub.get_dir()) / 'checkpoints' / Path(url.path).name
    if target.exists():  # Where it may be that nothing can be written.
        return str(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f'.{target.name}.lock')):
        if not target.exists():
            try:
                torch.hub.download_url_to_file(path, str(target))
            except (OSError, HTTPException) as error:
                raise ConnectionError(
                    f'could not download {path} to {target}: {error}. Where you have the file, '
                    'name its path in place of the URL, or put it there'
                ) from error
    return str(target)


def local_folder(path: str, files: Sequence[str]) -> str:
    """Path of a file or folder on this machine, downloaded first if it is on a hub.

    Args:
        path (str): As of :func:`local_file`, or ``hf://ORGANISATION/NAME``
            for a repository of the Hugging Face hub, or ``.../FILE`` for a
            file in it. ``@REVISION`` may follow NAME.
        files (Sequence[str]): Which files of a repository are wanted, as
            patterns.

    Returns:
        str: The path.

    Raises:
        ImportError: If ``huggingface_hub`` is needed, and not installed.
        ValueError: If a repository's name is not one.
        ConnectionError: If the download fails.
        OSError: As :func:`local_file`.
    """
    if not path.startswith(HUB):
        return local_file(path)
    return _from_hub(path, files)


def _from_hub(path: str, files: Sequence[str]) -> str:
    named = re.fullmatch(r'hf://([\w.-]+/[\w.-]+)(?:@([\w.-]+))?(?:/(.+))?', path)
    if named is None or not (named[3] or files):
        allowed = f'{HUB}ORGANISATION/NAME' + ('[/FILE]' if files else '/FILE')
        raise ValueError(f'checkpoint must be {allowed}, got {path}')
    name, revision, file = named.groups()
    hub = require_sd('huggingface_hub')
    patterns = [file, f'{file}/*'] if file else list(files)
    try:
        folder = hub.snapshot_download(name, revision=revision, allow_patterns=patterns)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f'could not download {path}: {error}. Where you have the files, name their place in '
            'place of it'
        ) from error
    return str(Path(folder) / (file or ''))
