"""Whether an exported file computes what PyTorch does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import ExportError
from .runtimes import runtimes_of


@dataclass(frozen=True)
class Example:
    """Images, and what PyTorch makes of them.

    Attributes:
        image (ndarray): The graph's input.
        outputs (dict[str, ndarray]): The model's, by name.
    """

    image: np.ndarray
    outputs: dict[str, np.ndarray]


def check_file(path: Path, examples: Sequence[Example], tolerance: float) -> dict[str, float]:
    """Run a file in all runtimes that are installed, and refuse one that differs.

    Args:
        path (Path): The file.
        examples (Sequence[Example]): What it has to compute.
        tolerance (float): Largest difference, in parts of the output's largest
            magnitude.

    Returns:
        dict[str, float]: The largest difference in each runtime, likewise.

    Raises:
        ExportError: If a runtime does not run the file, or an output differs
            by more.
    """
    return {
        runtime.name: _check_in(runtime, path, examples, tolerance) for runtime in runtimes_of(path)
    }


def _check_in(runtime: type, path: Path, examples: Sequence[Example], tolerance: float) -> float:
    largest = 0.0
    for example, outputs in zip(examples, _run(runtime, path, examples), strict=True):
        for (name, expected), output in zip(example.outputs.items(), outputs, strict=True):
            difference = _difference(output, expected)
            if not difference <= tolerance:
                raise ExportError(
                    f'{runtime.name} gives {name} of shape {output.shape} for images of shape '
                    f'{example.image.shape}, PyTorch one of shape {expected.shape}, and they '
                    f'differ by {difference:.1e} of its largest magnitude, more than the tolerance '
                    f'of {tolerance:.1e}: nothing is written'
                )
            largest = max(largest, difference)
    return largest


def _run(runtime: type, path: Path, examples: Sequence[Example]) -> list[list[np.ndarray]]:
    try:
        run = runtime(path)
        return [run(example.image) for example in examples]
    # Those of the runtimes have no narrower class in common.
    except Exception as error:
        shapes = ' and '.join(str(example.image.shape) for example in examples)
        raise ExportError(
            f'{runtime.name} does not run the graph on images of shapes {shapes}: {error}'
        ) from error


def _difference(output: np.ndarray, expected: np.ndarray) -> float:
    if output.shape != expected.shape:
        return np.inf
    largest = np.abs(expected).max()
    return float(np.abs(output - expected).max() / largest) if largest else 0.0
