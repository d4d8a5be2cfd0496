"""What a run logged over its iterations."""

import json
from collections.abc import Iterator
from pathlib import Path


def read_scalars(work_dir: str | Path) -> dict[str, dict[int, float]]:
    """The scalars of a run: all parts of a resumed one; where they overlap, the later counts.

    Args:
        work_dir (str | Path): The work dir of the run.

    Returns:
        dict[str, dict[int, float]]: For each key that it logged, the value at
        each step.

    Raises:
        FileNotFoundError: If there is none.
    """
    scalars = {}
    for entry in _entries(work_dir):
        for key, value in entry.items():
            scalars.setdefault(key, {})[entry['step']] = value
    if not scalars:
        raise FileNotFoundError(f'{work_dir} has no */vis_data/scalars.json with values')
    return scalars


def validated_steps(work_dir: str | Path) -> set[int]:
    """Where a run has logged scores.

    Args:
        work_dir (str | Path): The work dir of the run.

    Returns:
        set[int]: The iterations, or the epochs where they are counted. Empty if
        there are none.
    """
    # MMEngine counts training's entries by iteration, and gives those of validation a step only.
    return {entry['step'] for entry in _entries(work_dir) if 'iter' not in entry}


def _entries(work_dir: str | Path) -> Iterator[dict]:
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        yield from map(json.loads, path.read_text().splitlines())
