"""Folders of generated data: written whole or not at all, and not twice."""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path


def write_once(out: Path, settings: dict, write: Callable[[Path], None]) -> bool:
    """Make a folder of data, unless it is there with the same settings.

    Args:
        out: The folder to make.
        settings: What the data depend on; kept in ``out/settings.json``.
        write: Writes the data into the folder that it is given.

    Returns:
        Whether the data were written now.

    Raises:
        SystemExit: If `out` is there and has other content.
    """
    if out.exists():
        made = out / 'settings.json'
        found = json.loads(made.read_text()) if made.is_file() else 'no settings.json'
        if found != settings:
            raise SystemExit(
                f'{out} exists and has other content ({found}, asked for {settings}): '
                'remove it or name another folder'
            )
        return False
    # Written aside and moved when complete, so that a killed run leaves no half of a data set.
    partial = out.with_name(out.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    (partial / 'settings.json').write_text(json.dumps(settings, indent=2) + '\n')
    partial.rename(out)
    return True


def positive(text: str) -> int:
    """An argument's type: a number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number


def image_size(text: str) -> int:
    """An argument's type: the side of an image that a small U-Net can take."""
    size = int(text)
    if size < 32:
        raise argparse.ArgumentTypeError(f'must be at least 32 pixels, got {size}')
    return size
