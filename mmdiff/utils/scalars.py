"""What a run logged over its iterations."""

import json
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
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            for key, value in entry.items():
                scalars.setdefault(key, {})[entry['step']] = value
    if not scalars:
        raise FileNotFoundError(f'{work_dir} has no */vis_data/scalars.json with values')
    return scalars
