"""Checkpoints that are named by a URL."""

from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_local_rank


def local_file(path: str) -> str:
    """Path of a file on this machine, downloaded first if it is a URL.

    Downloads go to PyTorch's hub folder, once: they are moved there when they
    are complete. In a distributed run one process of each machine downloads.

    Args:
        path (str): A path, or an ``http(s)://`` URL.

    Returns:
        str: The path, with ``~`` expanded.
    """
    url = urlparse(path)
    if url.scheme not in ('http', 'https'):
        return str(Path(path).expanduser())
    target = Path(torch.hub.get_dir()) / 'checkpoints' / Path(url.path).name
    if get_local_rank() == 0 and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(path, str(target))
    barrier()
    return str(target)
