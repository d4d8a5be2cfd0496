"""Checkpoints that are named by a URL, or come with mmdiff."""

from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_local_rank

SHIPPED = Path(__file__).parent.parent / 'checkpoints'


def local_file(path: str) -> str:
    """Path of a file on this machine, downloaded first if it is a URL.

    Downloads go to PyTorch's hub folder, once: they are moved there when they
    are complete. In a distributed run one process of each machine downloads.

    Args:
        path (str): A path, an ``http(s)://`` URL, or ``mmdiff://NAME`` for a
            checkpoint that comes with mmdiff.

    Returns:
        str: The path, with ``~`` expanded.

    Raises:
        FileNotFoundError: If mmdiff has no checkpoint of that name.
        ConnectionError: If the download fails.
    """
    if path.startswith('mmdiff://'):
        shipped = SHIPPED / path.removeprefix('mmdiff://')
        if not shipped.is_file():
            names = ', '.join(sorted(p.name for p in SHIPPED.glob('*.pt')))
            raise FileNotFoundError(f'mmdiff has no checkpoint {shipped.name}; it has {names}')
        return str(shipped)
    url = urlparse(path)
    if url.scheme not in ('http', 'https'):
        return str(Path(path).expanduser())
    target = Path(torch.hub.get_dir()) / 'checkpoints' / Path(url.path).name
    if get_local_rank() == 0 and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(path, str(target))
        except URLError as error:
            raise ConnectionError(
                f'could not download {path}: {error.reason}. Where you have the file, name it: '
                '--cfg-options model.backbone.init_cfg.checkpoint=FILE; or put it at '
                f'{target}'
            ) from error
    barrier()
    return str(target)
