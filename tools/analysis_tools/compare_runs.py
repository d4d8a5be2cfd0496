"""Train several configs with several seeds and one budget, and table their scores.

A comparison is a YAML file:

    score: mIoU                 # as the runs log it on validation data
    seeds: [0, 1]
    labels: [5, 10, 50, all]    # optional: numbers of training images
    options:                    # of all runs, as --cfg-options
      train_cfg.max_iters: 400
      train_cfg.val_interval: 400
    runs:
      fixed timestep:           # a row of the table
        config: ../upernet_gd_digit-scenes.py      # relative to the file
        options:
          model.backbone.timestep: 300

With labels, each row is trained with each number of images, which are drawn by the seed: all rows
see the same ones, and the more contain the fewer.

The work dirs are OUT/ROW/seed-N, or OUT/ROW/labels-N/seed-N. Runs that are at their end are not
trained again, those that were begun are resumed. Writes OUT/scores.csv and OUT/scores.md after each
run, with the last score, and with labels a figure, OUT/scores.png.
"""

import argparse
import csv
import random
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmdiff.engine.cli import load_config
from mmdiff.utils import read_scalars
from mmdiff.visualization import draw_curves

TRAIN = Path(__file__).resolve().parent.parent / 'train.py'


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        row (str): Its row of the table.
        labels (int, str): How many training images it has, or ``'all'``.
        seed (int): Its seed.
        config (Path): What is trained.
        options (dict): Settings that override the config's.
        work_dir (Path): Where.
    """

    row: str
    labels: int | str
    seed: int
    config: Path
    options: dict
    work_dir: Path

    @property
    def command(self) -> list[str]:
        options = dict(self.options)
        if self.labels != 'all':
            options['train_dataloader.dataset.indices'] = self._drawn()
        return [
            sys.executable,
            str(TRAIN),
            str(self.config),
            '--work-dir',
            str(self.work_dir),
            '--resume',
            '--cfg-options',
            *(f'{key}={value}' for key, value in options.items()),
        ]

    def _drawn(self) -> str:
        cfg = load_config(str(self.config))
        dataset = dict(cfg.train_dataloader.dataset, pipeline=[])
        prefix = 'train_dataloader.dataset.'
        for key, value in self.options.items():
            if key.startswith(prefix):
                dataset[key.removeprefix(prefix)] = value
        init_default_scope(cfg.default_scope)
        total = len(DATASETS.build(dataset))
        if self.labels > total:
            raise SystemExit(f'labels: {self.labels}, but {self.config} has {total} images')
        drawn = random.Random(self.seed).sample(range(total), total)[: self.labels]
        return f'[{",".join(map(str, drawn))}]'

    def score(self, key: str) -> float | None:
        """The score at the run's end, or None if it is not there yet."""
        try:
            scalars = read_scalars(self.work_dir)
        except FileNotFoundError:
            return None
        end = Config.fromfile(self.work_dir / self.config.name).train_cfg
        values = scalars.get(key, {})
        return values.get(end.get('max_epochs') or end.max_iters)


@dataclass(frozen=True)
class Comparison:
    """What a file says.

    Attributes:
        score (str): The key of the score.
        runs (list[Run]): All of them.
    """

    score: str
    runs: list[Run]

    @classmethod
    def read(cls, file: Path, out: Path) -> 'Comparison':
        """Read a file.

        Args:
            file (Path): The YAML file.
            out (Path): Folder of the work dirs.

        Raises:
            SystemExit: If a part is missing, unknown or no file.
        """
        if not file.is_file():
            raise SystemExit(f'comparison: there is no file {file}')
        content = yaml.safe_load(file.read_text())
        needed = {'score', 'seeds', 'runs'}
        _check_keys(file, 'the file', content, needed | {'labels', 'options'}, needed)
        for labels in content.get('labels', ['all']):
            if labels != 'all' and not (isinstance(labels, int) and labels > 0):
                raise SystemExit(f"{file}: labels must be positive integers or 'all', got {labels}")
        rows = {}
        for row, settings in content['runs'].items():
            _check_keys(file, f'runs: {row}', settings, {'config', 'options'}, needed={'config'})
            config = file.parent / settings['config']
            if not config.is_file():
                raise SystemExit(f'{file}: runs: {row}: there is no config {config}')
            options = {**(content.get('options') or {}), **(settings.get('options') or {})}
            rows[row] = config, options
        runs = [
            Run(
                row,
                labels,
                seed,
                config,
                {**options, 'randomness.seed': seed},
                out
                / folder_name(row)
                / (f'labels-{labels}' if 'labels' in content else '')
                / f'seed-{seed}',
            )
            # What is there when it is half done should be a whole table of fewer seeds.
            for seed in content['seeds']
            for labels in content.get('labels', ['all'])
            for row, (config, options) in rows.items()
        ]
        folders = {run.work_dir for run in runs}
        if len(folders) < len(runs):
            raise SystemExit(f'{file}: rows, labels or seeds share a folder: give them other names')
        return cls(content['score'], runs)

    def scores(self) -> dict[str, dict[int | str, dict[int, float]]]:
        """Scores of the runs at their end, by row, number of labels, and seed."""
        scores = {}
        for run in self.runs:
            score = run.score(self.score)
            if score is not None:
                scores.setdefault(run.row, {}).setdefault(run.labels, {})[run.seed] = score
        return scores


def _check_keys(
    file: Path, where: str, content: object, allowed: set[str], needed: set[str]
) -> None:
    if not isinstance(content, dict):
        raise SystemExit(f'{file}: {where} must have {", ".join(sorted(needed))}, got {content!r}')
    for kind, keys in (('unknown', content.keys() - allowed), ('missing', needed - content.keys())):
        if keys:
            raise SystemExit(
                f'{file}: {where}: {kind} {", ".join(sorted(keys))}; it has '
                f'{", ".join(sorted(allowed))}'
            )


def folder_name(row: str) -> str:
    """A row's name in letters, digits and dashes."""
    return re.sub(r'[^a-z0-9]+', '-', row.lower()).strip('-')


def write(comparison: Comparison, out: Path) -> None:
    """Write what is there: every score, a table of means, and with labels a figure."""
    scores = comparison.scores()
    out.mkdir(parents=True, exist_ok=True)
    with (out / 'scores.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['row', 'labels', 'seed', comparison.score])
        for row, columns in scores.items():
            for labels, seeds in columns.items():
                writer.writerows(
                    (row, labels, seed, f'{score:.6g}') for seed, score in seeds.items()
                )
    # Detectors log shares, others per cent.
    factor = 100 if comparison.score.startswith('coco/') else 1
    values = {
        row: {labels: [s * factor for s in seeds.values()] for labels, seeds in columns.items()}
        for row, columns in scores.items()
    }
    headings = [*dict.fromkeys(run.labels for run in comparison.runs)]
    (out / 'scores.md').write_text(table(values, headings, comparison.score))
    if len(headings) > 1:
        lines = {
            row: [(str(n), columns[n]) for n in headings if n in columns]
            for row, columns in values.items()
        }
        figure = {f'{comparison.score}: mean, lowest and highest of the seeds': lines}
        draw_curves(out / 'scores.png', figure, x_label='labelled images')


def table(values: dict[str, dict[int | str, list[float]]], headings: list, key: str) -> str:
    """The scores in Markdown: the mean, and in brackets each seed's."""
    columns = [key] if headings == ['all'] else [f'{key}, {n} labels' for n in headings]
    lines = [f'| | {" | ".join(columns)} |', '|---' * (len(columns) + 1) + '|']
    for row, of_labels in values.items():
        cells = [cell(of_labels.get(labels, ())) for labels in headings]
        lines.append(f'| {row} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def cell(values: list[float]) -> str:
    if not values:
        return ''
    return f'{statistics.mean(values):.1f} ({", ".join(f"{value:.1f}" for value in values)})'


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('comparison', type=Path, help='YAML file')
    parser.add_argument(
        '--out', type=Path, help='folder of the runs and tables (default: work_dirs/FILE_NAME)'
    )
    return parser.parse_args()


def main():
    args = parse_args()
    out = args.out or Path('work_dirs') / args.comparison.stem
    comparison = Comparison.read(args.comparison, out)
    for number, run in enumerate(comparison.runs, 1):
        if run.score(comparison.score) is not None:
            continue
        print(
            f'{number} of {len(comparison.runs)}: {run.row}, {run.labels} labels, seed {run.seed}',
            flush=True,
        )
        result = subprocess.run(run.command)
        if result.returncode:
            raise SystemExit(f'It failed: {" ".join(run.command)}')
        if run.score(comparison.score) is None:
            logged = ', '.join(read_scalars(run.work_dir))
            raise SystemExit(
                f'{args.comparison}: {run.work_dir} logged no {comparison.score} at its end: let '
                f'val_interval end there, and score be one of {logged}'
            )
        write(comparison, out)
    write(comparison, out)
    print((out / 'scores.md').read_text() + f'\nWrote {out}/scores.csv and scores.md')


if __name__ == '__main__':
    main()
