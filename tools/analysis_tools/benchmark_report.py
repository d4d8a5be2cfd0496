"""The report of ``benchmark_gpu.py``: its rows, the goals beside them, and the files."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark_contenders import Task
from benchmark_training import COLUMNS, Training, columns


@dataclass(frozen=True)
class Features:
    """Features by a contender.

    Attributes:
        arch (str): The architecture.
        size (int): Side of the images, in pixels.
        task (Task): What to compute, in which precision.
        batch_size (int): Images.
        contender (str): By what.
    """

    arch: str
    size: int
    task: Task
    batch_size: int
    contender: str


@dataclass(frozen=True)
class Goal:
    """What a row is to show.

    Attributes:
        row (dict): What the row must be, of :func:`describe`; a tuple names
            several values.
        quantity (str): ``'seconds'`` or ``'memory'``, in bytes, at most; or
            ``'speed_up'``, at least.
        value (float): How much.
    """

    row: dict
    quantity: str
    value: float

    def fits(self, row: dict) -> bool:
        """Whether it is the goal of a row."""
        return all(
            row[key] in wanted if isinstance(wanted, tuple) else row[key] == wanted
            for key, wanted in self.row.items()
        )

    def verdict(self, row: dict) -> str:
        """The goal in words, and whether the row reached it, or by how much not."""
        scale, unit = {'seconds': (1e3, ' ms'), 'memory': (1e-9, ' GB'), 'speed_up': (1, 'x')}[
            self.quantity
        ]
        goal = f'{self.value * scale:.4g}{unit}'
        measured = row.get(self.quantity)
        if measured is None:
            return f'{goal}: not measured'
        ratio = measured / self.value
        if ratio >= 1 if self.quantity == 'speed_up' else ratio <= 1:
            return f'{goal}: reached'
        return f'{goal}: missed by {abs(ratio - 1):.0%}'


def describe(row: Features | Training) -> dict:
    """What a row of the plan is, as the tables have it."""
    if isinstance(row, Features):
        return dict(
            kind='features',
            what=f'{row.arch}, {row.task.name}',
            contender=row.contender,
            dtype=row.task.dtype,
            batch_size=row.batch_size,
            with_cp=None,
            cudnn_benchmark=None,
        )
    options = {key.rpartition('.')[-1]: value for key, value in row.options}
    return dict(
        kind='training',
        what=Path(row.config).stem,
        contender='mmdiff',
        dtype=row.dtype,
        batch_size=None,
        with_cp=options.get('with_cp'),
        cudnn_benchmark=options.get('cudnn_benchmark'),
    )


FIELDS = (
    'kind', 'what', 'contender', 'dtype', 'batch_size', 'with_cp', 'cudnn_benchmark', 'seconds',
    'first_seconds', 'memory', 'macs', 'roofline', 'speed_up', 'goals', 'note',
)  # fmt: skip


FEATURES_HEAD = (
    'features', '', 'precision', 'batch', 'GMAC', 'ms', 'peak GB', 'of the roofline', 'speed-up',
    'goal',
)  # fmt: skip


@dataclass
class Report:
    """What was measured so far, in two files.

    Attributes:
        out (Path): Folder, to which ``benchmark_gpu.md`` and
            ``benchmark_gpu.csv`` go.
        header (str): The machine, and how it was measured.
        plan (Sequence[Features | Training]): All rows.
        goals (Sequence[Goal]): Goals of some.
        parity (list[str]): What was compared before.
        measured (dict): Of rows of the plan, what was measured, or why not.
    """

    out: Path
    header: str
    plan: Sequence[Features | Training]
    goals: Sequence[Goal]
    parity: list[str] = field(default_factory=list)
    measured: dict[Features | Training, dict] = field(default_factory=dict)

    def add_parity(self, line: str) -> None:
        """Add a comparison, and write the files."""
        self.parity.append(line)
        self.write()

    def add(self, row: Features | Training, measured: dict) -> None:
        """Add what was measured of a row, or a ``note`` that says why not, and write the files."""
        self.measured[row] = measured
        self.write()

    def write(self) -> None:
        """Write the files anew: a run that is killed leaves what it measured."""
        self.out.mkdir(parents=True, exist_ok=True)
        rows = self.rows()
        _replace(self.out / 'benchmark_gpu.md', self.markdown(rows))
        with (self.out / 'benchmark_gpu.csv').open('w', newline='') as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(rows)

    def failed(self) -> list[dict]:
        """Rows that ended in an error."""
        return [row for row in self.measured.values() if row.get('note', '').startswith('failed')]

    def rows(self) -> list[dict]:
        """All rows of the plan, each with what is known of it."""
        rows = []
        for planned in self.plan:
            row = describe(planned)
            row |= self.measured.get(planned, dict(note='not reached'))
            row['speed_up'] = self._speed_up(planned)
            row['goals'] = '; '.join(goal.verdict(row) for goal in self.goals if goal.fits(row))
            rows.append(row)
        return rows

    def _speed_up(self, row: Features | Training) -> float | None:
        """How many times as fast as guided-diffusion a contender is, where both were measured."""
        if isinstance(row, Training):
            return None
        theirs = Features(row.arch, row.size, row.task, row.batch_size, 'guided-diffusion')
        seconds = [self.measured.get(r, {}).get('seconds') for r in (theirs, row)]
        return seconds[0] / seconds[1] if all(seconds) else None

    def markdown(self, rows: list[dict]) -> str:
        """The report."""
        done = [row for row in rows if 'seconds' in row]
        features = [_features_row(row) for row in done if row['kind'] == 'features']
        training = [_training_row(row) for row in done if row['kind'] == 'training']
        parts = [
            self.header,
            'Parity, relative to the norm of a map:',
            '\n'.join(f'* {line}' for line in self.parity),
            _table(FEATURES_HEAD, features),
            _table(('training', 'precision', 'batch', *COLUMNS, 'goal'), training),
            'Not measured:',
            '\n'.join(f'* {title(row)}: {row["note"]}' for row in rows if 'note' in row)
            or '* nothing',
        ]
        return '\n\n'.join(parts) + '\n'


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is whole whenever the run is killed."""
    unfinished = path.with_suffix('.unfinished')
    unfinished.write_text(text)
    unfinished.replace(path)


def title(row: dict) -> str:
    """A row of :func:`describe` in words."""
    parts = [row['what'], row['contender'], row['dtype']]
    if row['batch_size'] is not None:
        parts.append(f'batch {row["batch_size"]}')
    for key in ('with_cp', 'cudnn_benchmark'):
        if row[key] is not None:
            parts.append(f'{key}={row[key]}')
    return ', '.join(parts)


def _features_row(row: dict) -> list[str]:
    return [
        *(row[key] for key in ('what', 'contender', 'dtype')),
        str(row['batch_size']),
        f'{row["macs"] / 1e9:.1f}',
        f'{1e3 * row["seconds"]:.2f}',
        f'{row["memory"] / 1e9:.2f}',
        f'{2 * row["macs"] / row["seconds"] / row["roofline"]:.0%}',
        '' if row['speed_up'] is None else f'{row["speed_up"]:.2f}x',
        row['goals'],
    ]


def _training_row(row: dict) -> list[str]:
    return [row['what'], row['dtype'], str(row['batch_size']), *columns(row), row['goals']]


def _table(head: Sequence[str], rows: list[list[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
