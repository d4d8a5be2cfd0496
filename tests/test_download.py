"""Checkpoints that are named by a URL, or come with mmdiff."""

import errno
import socket
import subprocess
import sys
import time
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import Mock

import pytest
import torch

from mmdiff.diffusion import read_checkpoint
from mmdiff.models import GuidedDiffusionBackbone
from mmdiff.utils import local_file


def test_url_is_downloaded_once(tmp_path, monkeypatch):
    downloads = []

    def download(url, path):
        downloads.append(url)
        torch.save({}, path)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    url = 'https://example.com/models/unet.pt?version=1'
    path = local_file(url)
    assert path == str(tmp_path / 'checkpoints' / 'unet.pt')
    assert local_file(url) == path
    assert downloads == [url]


def test_read_only_folder(tmp_path, monkeypatch):
    """Filled by somebody else."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr('mmdiff.utils.download.FileLock', Mock(side_effect=PermissionError))
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / 'checkpoints/unet.pt').touch()
    url = 'https://example.com/models/unet.pt'
    assert local_file(url) == str(tmp_path / 'checkpoints/unet.pt')
    with pytest.raises(PermissionError):
        local_file('https://example.com/models/other.pt')


def test_processes_download_a_file_once(tmp_path):
    """As the processes of a distributed run do."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            # All processes are there before it ends.
            time.sleep(4)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'weights')

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}/unet.pt'
        code = (
            f'import torch; torch.hub.set_dir({str(tmp_path)!r}); '
            f'from mmdiff.utils import local_file; print(local_file({url!r}))'
        )
        processes = [
            subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        paths = {process.communicate()[0].strip() for process in processes}
        server.shutdown()
    assert paths == {str(tmp_path / 'checkpoints/unet.pt')}
    assert (tmp_path / 'checkpoints/unet.pt').read_bytes() == b'weights'
    assert requests == ['/unet.pt']


def test_failed_downloads(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with socket.socket() as closed:
        closed.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{closed.getsockname()[1]}/unet.pt'
        with pytest.raises(ConnectionError, match=rf'could not download {url} to .*refused.*path'):
            local_file(url)
    for error, message in (
        (OSError(errno.ENOSPC, 'No space left on device'), 'No space left'),
        (IncompleteRead(b'', 10), 'IncompleteRead'),
    ):
        monkeypatch.setattr(torch.hub, 'download_url_to_file', Mock(side_effect=error))
        with pytest.raises(ConnectionError, match=message):
            local_file(url)
    assert not (tmp_path / 'checkpoints/unet.pt').exists()
    with pytest.raises(ValueError, match=r'path, an http\(s\)://.*mmdiff://NAME.* got s3://a/b'):
        local_file('s3://a/b.pt')
    with pytest.raises(ValueError, match=r'must name a file, got https://example\.com/'):
        local_file('https://example.com/')


def test_path_stays(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    assert local_file('a/b.pt') == 'a/b.pt'
    assert local_file('~/b.pt') == '/home/me/b.pt'


def test_shipped_checkpoint():
    model = GuidedDiffusionBackbone(
        'adm-64-small',
        timestep=50,
        blocks=(12,),
        init_cfg=dict(type='Pretrained', checkpoint='mmdiff://adm-64-small_digit-scenes.pt'),
    )
    model.init_weights()
    path = local_file('mmdiff://adm-64-small_digit-scenes.pt')
    assert Path(path).stat().st_size < 10e6
    weights = read_checkpoint(path)
    assert all(w.isfinite().all() and w.dtype == torch.float16 for w in weights.values())
    assert torch.equal(model.unet.time_embed[0].weight, weights['time_embed.0.weight'].float())
    with pytest.raises(FileNotFoundError, match=r'has no checkpoint adm\.pt; it has adm-64-small'):
        local_file('mmdiff://adm.pt')
