"""Seconds, memory and the machine's limit, on a CPU and on a GPU."""

import gc
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F

# Steps before the first that is timed: a GPU's memory is handed back between contenders' turns.
WARM_UP = 3


def on_gpu(device: str) -> bool:
    return device.startswith('cuda')


def default_turn(device: str) -> float:
    """Seconds for which a contender runs when it is its turn."""
    return 0.5 if on_gpu(device) else 5.0


def step_times(function: Callable, device: str, at_least: float) -> list[float]:
    """Seconds of each of as many steps as some seconds hold.

    After a pause, in which the others had their turn, the first is slower by up to a tenth.
    """
    for _ in range(WARM_UP if on_gpu(device) else 0):
        function()
    taken = []
    while not taken or sum(taken) < at_least:
        taken.append(seconds(function, device))
    return taken


def seconds(function: Callable, device: str) -> float:
    """Seconds of one step; on a GPU from event to event, the device idle before the first."""
    if on_gpu(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000
    start = perf_counter()
    function()
    return perf_counter() - start


def fastest_flops(device: str, dtype: torch.dtype, at_least: float) -> float:
    """FLOP/s of the fastest of some plain convolutions and matrix products."""
    fastest = 0.0
    for flops, function in _plain_operations(device, dtype):
        taken = step_times(function, device, at_least)
        fastest = max(fastest, flops * len(taken) / sum(taken))
    return fastest


@torch.no_grad()
def _plain_operations(device: str, dtype: torch.dtype) -> Iterator[tuple[int, Callable]]:
    # A GPU is not full with less.
    side, batch = (8192, 8) if on_gpu(device) else (2048, 1)
    a = torch.randn(side, side, device=device, dtype=dtype)
    yield 2 * side**3, lambda: a @ a
    formats = (torch.contiguous_format, torch.channels_last)
    # Channels and sides as they are in the 256x256 model.
    for (channels, side), layout in product([(256, 128), (512, 64), (512, 32)], formats):
        kwargs = dict(device=device, dtype=dtype)
        x = torch.randn(batch, channels, side, side, **kwargs).to(memory_format=layout)
        weight = torch.randn(channels, channels, 3, 3, **kwargs).to(memory_format=layout)
        flops = 18 * batch * channels**2 * side**2
        yield flops, lambda x=x, weight=weight: F.conv2d(x, weight, padding=1)


def free_memory(device: str) -> None:
    """Hand a GPU's memory back that nothing uses, for the other processes."""
    if on_gpu(device):
        gc.collect()
        torch.cuda.empty_cache()


def reset_peak_memory(device: str) -> None:
    if on_gpu(device):
        torch.cuda.reset_peak_memory_stats()
    else:
        Path('/proc/self/clear_refs').write_text('5')


def peak_memory(device: str) -> int:
    """Bytes that the process held at most since the reset; of the GPU, where there is one."""
    if on_gpu(device):
        return torch.cuda.max_memory_allocated()
    status = Path('/proc/self/status').read_text()
    return 1024 * int(status.split('VmHWM:')[1].split()[0])
