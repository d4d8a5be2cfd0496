"""Checkpoints that are named by a URL."""

import torch

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


def test_path_stays(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    assert local_file('a/b.pt') == 'a/b.pt'
    assert local_file('~/b.pt') == '/home/me/b.pt'
