"""How many threads to compute with, by what other processes leave of the machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, process_time

import torch

# Seconds from one look at the machine to the next, and of computing that a look takes.
INTERVAL, LOOK = 1.0, 0.2


class FreeCores:
    """Lets PyTorch compute with as many threads as cores are free.

    OpenMP gives each thread an equal part, and waits for the last: a thread
    that has lost its core to another process holds up all others at each step
    (docs/performance.md). What other processes use is read from ``/proc/stat``;
    where there is none, the number of threads stays. It does, too, where the
    user has set ``OMP_NUM_THREADS``.
    """

    def __init__(self):
        self.most = torch.get_num_threads()
        self.adapts = (
            self.most > 1 and 'OMP_NUM_THREADS' not in os.environ and Path('/proc/stat').exists()
        )
        self.next_look = monotonic()
        self.seen = (0.0, 0.0, 0.0)
        self.wanted = self.most

    @contextmanager
    def adapted(self) -> Iterator[None]:
        """Compute in it: what others use meanwhile decides on the threads of the next time."""
        if not self.adapts or monotonic() < self.next_look:
            yield
            return
        before = self._usage()
        yield
        now = self._usage()
        self.seen = tuple(total + b - a for total, a, b in zip(self.seen, before, now, strict=True))
        if self.seen[0] >= LOOK:
            self._adapt(*self.seen)
            self.seen = (0.0, 0.0, 0.0)

    def _adapt(self, seconds: float, busy: float, own: float) -> None:
        # Rounded: half a core's worth of small processes is worth no thread.
        others = round(max(0.0, busy - own) / seconds)
        threads = max(1, min(self.most, len(os.sched_getaffinity(0)) - others))
        # At the second time only: packed weights are packed anew for another number.
        if threads == self.wanted and threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        if threads == torch.get_num_threads():
            self.next_look = monotonic() + INTERVAL
        self.wanted = threads

    @staticmethod
    def _usage() -> tuple[float, float, float]:
        """The time, and the seconds of all processes and of this one on the cores it may use."""
        cores = os.sched_getaffinity(0)
        ticks = 0
        for line in Path('/proc/stat').read_text().splitlines():
            name, *numbers = line.split()
            if name.startswith('cpu') and name[3:].isdigit() and int(name[3:]) in cores:
                user, nice, system, _, _, interrupts, soft, *_ = map(int, numbers)
                ticks += user + nice + system + interrupts + soft
        return monotonic(), ticks / os.sysconf('SC_CLK_TCK'), process_time()
