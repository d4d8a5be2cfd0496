"""A folder of images that a diffusion model draws, which may be killed and goes on."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from torch import Tensor

SETTINGS = 'samples.json'


class SampleFolder:
    """Samples as PNG files that are called by their seeds, such as ``000042.png``.

    A file is there with all of its image or not at all. Processes can draw
    different seeds into one folder at the same time.

    Args:
        folder (str | Path): The folder, made if it does not exist.
        settings (dict): What the samples are drawn with, besides the seed:
            what JSON knows. They stand in the folder's ``samples.json``.

    Raises:
        ValueError: If samples of other settings are there.
    """

    def __init__(self, folder: str | Path, settings: dict):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / SETTINGS
        if not path.is_file():
            _put(path, lambda partial: partial.write_text(json.dumps(settings, indent=2) + '\n'))
        found = json.loads(path.read_text())
        differences = [
            f'{key}={found.get(key)!r}, not {settings.get(key)!r}'
            for key in sorted(found.keys() | settings.keys())
            if found.get(key) != settings.get(key)
        ]
        if differences:
            raise ValueError(
                f'{folder} has samples of other settings, {"; ".join(differences)}: name another '
                'folder, or remove it'
            )

    def missing(self, seeds: Iterable[int]) -> list[int]:
        """Those of some seeds whose samples are not there."""
        return [seed for seed in seeds if not self._path(seed).is_file()]

    def write(self, seed: int, image: Tensor) -> None:
        """Write a sample, with the rounding of guided-diffusion's ``image_sample.py``.

        Args:
            seed (int): Its seed.
            image (Tensor): RGB in [-1, 1], shape (3, H, W).
        """
        pixels = ((image + 1) * 127.5).clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
        _put(self._path(seed), lambda partial: Image.fromarray(pixels).save(partial, 'PNG'))

    def _path(self, seed: int) -> Path:
        return self.folder / f'{seed:06d}.png'


def _put(path: Path, write) -> None:
    # Of this process alone, and no image's name to what reads the folder.
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    write(partial)
    os.replace(partial, path)
