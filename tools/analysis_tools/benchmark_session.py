"""Measure a plan of rows within some minutes, each after parity of what it computes."""

import statistics
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

import torch
from benchmark_contenders import (
    COMPILED,
    Task,
    architecture,
    missing_package,
    random_weights,
)
from benchmark_features import Contender, Roofline, check_difference, difference
from benchmark_report import Features, Report, describe, title
from benchmark_timing import default_turn, free_memory
from benchmark_training import Training, TrainingSteps
from benchmark_worker import Worker, WorkerError
from torch import Tensor

# With the CPU, which is slow, one image is compared; with the authors' code several.
BATCH_ON_THE_CPU, BATCH = 1, 2


class OutOfTime(Exception):
    """The time is up."""


class Session:
    """Measures the plan of a report.

    Each contender has one process for all rows, and builds anew for each, so that a row's peak
    memory is its own. One at a time holds memory of the GPU.

    Args:
        report (Report): Its plan says what; it gets what was measured.
        device (str): Where.
        folder (Path): For random weights.
        minutes (float): In which all must be done.
        compile_limit (float): Seconds after which what is compiled is given
            up.
        turn (float, optional): Seconds for which features are timed at least.
            Defaults to None: as of ``benchmark.py``.
        num_steps (int): Training steps that are timed. Defaults to 10.
    """

    def __init__(
        self,
        report: Report,
        device: str,
        folder: Path,
        minutes: float,
        compile_limit: float,
        turn: float | None = None,
        num_steps: int = 10,
    ):
        self.report, self.device, self.folder = report, device, folder
        self.ends = monotonic() + 60 * minutes
        self.compile_limit = compile_limit
        self.turn = turn or default_turn(device)
        self.num_steps = num_steps
        self.workers: dict[str, Worker] = {}
        self.weights: dict[str, Path] = {}
        self.rooflines: dict[str, float] = {}
        self.prepared: set[tuple[str, Task]] = set()
        self.compared: dict[Features, list[Tensor]] = {}

    def run(self) -> None:
        """Measure until all is done, or the time is up.

        Raises:
            SystemExit: If two do not compute the same.
        """
        self.report.write()
        rows = [row for row in self.report.plan if not self._left_out(row)]
        try:
            # All at once: each takes seconds to import what it needs.
            for row in rows:
                self._worker(self._name(row))
            with suppress(OutOfTime):
                for row in rows:
                    self.report.add(row, self._measured(row, rows))
        finally:
            for worker in self.workers.values():
                worker.kill()

    def _left_out(self, row: Features | Training) -> bool:
        if isinstance(row, Training):
            # Of what misses a package, mmdiff's own error says what to do.
            return False
        missing = missing_package(row.contender, row.arch)
        if missing:
            self.report.add(row, dict(note=f'needs {missing}, which is not installed'))
        return missing is not None

    def _name(self, row: Features | Training) -> str:
        """Of the process for a row."""
        if isinstance(row, Features):
            return row.contender
        # cuDNN keeps what it chose with it for later, and what it chose without.
        return f'training, {describe(row)["cudnn_benchmark"]}'

    def _worker(self, name: str) -> Worker:
        """A process, which is started where there is none."""
        if name not in self.workers:
            if name.startswith('training'):
                served = (TrainingSteps, self.device)
            elif name == 'roofline':
                served = (Roofline, self.device)
            elif name == 'mmdiff on the CPU':
                served = (Contender, 'mmdiff', 'cpu')
            else:
                served = (Contender, name, self.device)
            self.workers[name] = Worker(*served)
        return self.workers[name]

    def _ask(self, name: str, *what, limit: float = float('inf')):
        """Ask a process, as long as there is time."""
        left = self.ends - monotonic()
        if left <= 0:
            raise OutOfTime
        try:
            return self._worker(name).ask(*what, limit=min(limit, left))
        except TimeoutError:
            del self.workers[name]
            if left <= limit:
                raise OutOfTime from None
            raise
        except WorkerError:
            # A process that failed may hold memory.
            self.workers.pop(name).kill()
            raise

    def _measured(self, row: Features | Training, rows: list[Features | Training]) -> dict:
        print(title(describe(row)), file=sys.stderr)
        try:
            if isinstance(row, Training):
                return self._ask(self._name(row), 'measure', row, self.num_steps)
            self._prepare(row, rows)
            return self._features(row)
        except TimeoutError:
            return dict(note=f'not compiled within {self.compile_limit:g} s')
        except WorkerError as error:
            return dict(note=f'failed: {error}')

    def _features(self, row: Features) -> dict:
        name = row.contender
        self._ask(name, *self._build(row.arch, row.size, row.task, row.batch_size))
        limit = self.compile_limit if name == COMPILED else float('inf')
        features = self._ask(name, 'features', limit=limit)
        # The plan has mmdiff first, which the others must equal.
        expected = self.compared.setdefault(replace(row, contender=''), features)
        if expected is not features:
            what = f'{row.arch}, {row.task.name}, {row.task.dtype}, batch {row.batch_size}: '
            self._check(features, expected, row.task.dtype, f'{what}{name} differs from mmdiff')
        taken = self._ask(name, 'seconds', self.turn)
        measured = dict(
            seconds=statistics.median(taken),
            memory=self._ask(name, 'memory'),
            macs=self._ask(name, 'macs'),
        )
        self._ask(name, 'free')
        return measured | dict(roofline=self._roofline(row))

    def _roofline(self, row: Features) -> float:
        dtype = row.task.dtype
        if dtype not in self.rooflines:
            self.rooflines[dtype] = self._ask('roofline', 'flops', row.task, self.turn / 5)
        return self.rooflines[dtype]

    def _build(self, arch: str, size: int, task: Task, batch_size: int) -> tuple:
        given = architecture(arch).input
        sides = [size // given.stride] * 2
        shape = (batch_size, given.channels, *sides)
        return 'build', arch, self.weights[arch], task, shape

    def _prepare(self, row: Features, rows: list[Features | Training]) -> None:
        """Before the first row of a task: parity, and the weights of its architecture."""
        if self._task(row) in self.prepared:
            return
        if row.arch not in self.weights:
            self.weights[row.arch] = self.folder / f'{row.arch}.pt'
            torch.save(random_weights(row.arch, self.device), self.weights[row.arch])
            free_memory(self.device)
        same = [r for r in rows if isinstance(r, Features) and self._task(r) == self._task(row)]
        dtypes = dict.fromkeys(
            ['float32', *(r.task.dtype for r in same if r.contender == 'mmdiff')]
        )
        self._compare_with_the_cpu(row, dtypes)
        # In every precision of a model's first task; each row of theirs is compared besides.
        model = [r for r in rows if isinstance(r, Features) and r.arch == row.arch]
        if same[0] == model[0] and any(r.contender == 'guided-diffusion' for r in same):
            for dtype in dtypes:
                self._compare_with_the_authors(row, replace(row.task, dtype=dtype))
        self.prepared.add(self._task(row))

    def _task(self, row: Features) -> tuple[str, Task]:
        """What is computed, in whatever precision."""
        return row.arch, replace(row.task, dtype='float32')

    def _compare_with_the_cpu(self, row: Features, dtypes: Iterable[str]) -> None:
        args, task = (row.arch, row.size), replace(row.task, dtype='float32')
        expected = self._sample('mmdiff on the CPU', *args, task, BATCH_ON_THE_CPU)
        for dtype in dtypes:
            found = self._sample('mmdiff', *args, replace(task, dtype=dtype), BATCH_ON_THE_CPU)
            what = f'{row.arch}, {task.name}: {self.device} in {dtype} differs from the CPU in '
            self._check(found, expected, dtype, f'{what}float32')

    def _compare_with_the_authors(self, row: Features, task: Task) -> None:
        what = f'{row.arch}, {task.name}, {task.dtype}: mmdiff'
        args = row.arch, row.size, task, BATCH
        ours = self._sample('mmdiff', *args)
        try:
            theirs = self._sample('guided-diffusion', *args)
        except WorkerError as error:
            # What fails there is no fault of ours.
            self.report.add_parity(f'{what} was not compared with guided-diffusion: {error}')
            return
        self._check(ours, theirs, task.dtype, f'{what} differs from guided-diffusion')

    def _sample(self, name: str, arch: str, size: int, task: Task, batch_size: int) -> list[Tensor]:
        self._ask(name, *self._build(arch, size, task, batch_size))
        features = self._ask(name, 'features')
        self._ask(name, 'free')
        return features

    def _check(self, found: list[Tensor], expected: list[Tensor], dtype: str, what: str) -> None:
        value = difference(found, expected)
        self.report.add_parity(f'{what} by {value:.2g}')
        check_difference(value, dtype, what)
