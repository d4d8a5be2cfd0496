"""What a process of the benchmark holds that measures features: a contender, or the roofline."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from benchmark_contenders import HALF, RUNTIMES, Task, architecture, contenders_of
from benchmark_timing import (
    fastest_flops,
    free_memory,
    peak_memory,
    reset_peak_memory,
    step_times,
)
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mmdiff.diffusion import DenoiserArchitecture

# Between contenders, relative to the norm of a map.
TOLERANCE = {'float32': 1e-3, 'tf32': 1e-2, 'bfloat16': 0.1, 'float16': 0.02}


class Contender:
    """One contender, on one task and size at a time.

    Args:
        name (str): Its name in the table.
        device (str): Where it runs.
    """

    def __init__(self, name: str, device: str):
        self.name = name
        self.device = device
        self.features_of = None

    def build(self, arch: str, weights: Path, task: Task, shape: tuple[int, ...]) -> None:
        """Build it anew for a task, so that its peak memory is that of this task and size alone."""
        self.free()
        set_precision(task)
        self.task, self.shape = task, shape
        self.arch, self.weights = architecture(arch), weights
        self.features_of = self._build(arch)
        # Drawn on the CPU: alike on all devices.
        self.x = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(
            self.device
        )
        free_memory(self.device)
        reset_peak_memory(self.device)

    def _build(self, arch: str) -> Callable:
        if self.name in RUNTIMES:
            # Not before: it imports what is measured beside it.
            from benchmark_exported import runtime_features

            return runtime_features(self.name, self.task, arch, self.weights, self.shape)
        build = contenders_of(self.arch)[self.name]
        return build(self.task, self.arch, self.weights, self.device)

    def free(self) -> None:
        """Let go of what was built."""
        self.features_of = self.x = None
        free_memory(self.device)

    def features(self) -> list[Tensor]:
        """Some values of each map."""
        with torch.no_grad():
            sample = sample_of(self.features_of(self.x))
        free_memory(self.device)
        return sample

    def seconds(self, at_least: float) -> list[float]:
        """Of each step."""
        taken = step_times(lambda: step(self.features_of, self.x, self.task), self.device, at_least)
        free_memory(self.device)
        return taken

    def memory(self) -> int:
        """The peak since it was built, in bytes."""
        return peak_memory(self.device)

    def macs(self) -> int:
        """MACs of a step."""
        # Operators count alike in any precision; what is computed again does not count.
        task = replace(self.task, checkpointing=False, dtype='float32')
        # What runs its graph computes the same.
        name = 'mmdiff' if self.name in RUNTIMES else self.name
        return count_macs(task, name, self.arch, self.shape, self.weights)


class Roofline:
    """The machine's limit.

    Args:
        device (str): Whose.
    """

    def __init__(self, device: str):
        self.device = device

    def flops(self, task: Task, at_least: float) -> float:
        """FLOP/s of the fastest plain operation in the precision of a task."""
        set_precision(task)
        fastest = fastest_flops(self.device, HALF.get(task.dtype, torch.float32), at_least)
        free_memory(self.device)
        return fastest


def set_precision(task: Task) -> None:
    # PyTorch's default is TF32 for convolutions alone.
    torch.backends.cuda.matmul.allow_tf32 = task.dtype == 'tf32'
    torch.backends.cudnn.allow_tf32 = task.dtype == 'tf32'


def step(features_of: Callable, x: Tensor, task: Task) -> None:
    """One forward, and a backward where the task is training."""
    if task.trained is None:
        with torch.no_grad():
            features_of(x)
        return
    features = features_of(x)
    sum(feature.float().square().mean() for feature in features).backward()


def sample_of(features: Sequence) -> list[Tensor]:
    """Some values of each map, to compare contenders by."""
    maps = []
    for feature in features:
        maps += [feature] if torch.is_tensor(feature) else feature
    return [m.detach().flatten()[:: max(1, m.numel() // 10_000)].float().cpu() for m in maps]


def difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest difference of a map, relative to its norm; not a number where one is not."""
    differences = [(a - b).norm() / b.norm() for a, b in zip(found, expected, strict=True)]
    return torch.stack(differences).max().item()


def check_difference(value: float, dtype: str, what: str) -> None:
    """Stop where two do not compute the same."""
    # Not so for NaN.
    if not value <= TOLERANCE[dtype]:
        raise SystemExit(
            f'{what} by {value:.2g}, relatively; at most {TOLERANCE[dtype]} is allowed'
        )


@cache
def count_macs(
    task: Task, contender: str, arch: DenoiserArchitecture, shape: tuple, weights: Path
) -> int:
    """MACs of a step, backward included, by its shapes alone."""
    features_of = contenders_of(arch)[contender](task, arch, weights, 'meta')
    with FlopCounterMode(display=False) as counter:
        step(features_of, torch.empty(shape, device='meta'), task)
    return counter.get_total_flops() // 2
