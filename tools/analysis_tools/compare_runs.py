"""Train several configs with several seeds and one budget, and table their scores.

A comparison is a YAML file:

    score: mIoU                 # as the runs log it on validation data
    seeds: [0, 1]
    options:                    # of all runs, as --cfg-options
      train_cfg.max_iters: 400
      train_cfg.val_interval: 400
    runs:
      fixed timestep:           # a row of the table
        config: ../upernet_gd_digit-scenes.py      # relative to the file
        options:
          model.backbone.timestep: 300

The work dirs are OUT/ROW/seed-N. Runs that are at their end are not trained again, those that were
begun are resumed. Writes OUT/scores.csv and OUT/scores.md after each run, with the last score.
"""

import argparse
import csv
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from mmengine.config import Config

from mmdiff.utils import read_scalars

TRAIN = Path(__file__).resolve().parent.parent / 'train.py'


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        row (str): Its row of the table.
        seed (int): Its seed.
        config (Path): What is trained.
        options (dict): Settings that override the config's.
        work_dir (Path): Where.
    """

    row: str
    seed: int
    config: Path
    options: dict
    work_dir: Path

    @property
    def command(self) -> list[str]:
        return [
            sys.executable,
            str(TRAIN),
            str(self.config),
            '--work-dir',
            str(self.work_dir),
            '--resume',
            '--cfg-options',
            *(f'{key}={value}' for key, value in self.options.items()),
        ]

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
        allowed = {'score', 'seeds', 'options', 'runs'}
        _check_keys(file, 'the file', content, allowed, needed=allowed - {'options'})
        runs = []
        for row, settings in content['runs'].items():
            _check_keys(file, f'runs: {row}', settings, {'config', 'options'}, needed={'config'})
            config = file.parent / settings['config']
            if not config.is_file():
                raise SystemExit(f'{file}: runs: {row}: there is no config {config}')
            options = {**(content.get('options') or {}), **(settings.get('options') or {})}
            for seed in content['seeds']:
                work_dir = out / folder_name(row) / f'seed-{seed}'
                runs.append(Run(row, seed, config, {**options, 'randomness.seed': seed}, work_dir))
        folders = {run.work_dir for run in runs}
        if len(folders) < len(runs):
            raise SystemExit(f'{file}: rows or seeds share a folder: give them other names')
        return cls(content['score'], runs)

    def scores(self) -> dict[str, dict[int, float]]:
        """Scores of the runs at their end, by row and seed."""
        scores = {}
        for run in self.runs:
            score = run.score(self.score)
            if score is not None:
                scores.setdefault(run.row, {})[run.seed] = score
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
    """Write what is there: every score, and a table of means."""
    scores = comparison.scores()
    out.mkdir(parents=True, exist_ok=True)
    with (out / 'scores.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['row', 'seed', comparison.score])
        writer.writerows(
            (row, seed, s) for row, seeds in scores.items() for seed, s in seeds.items()
        )
    (out / 'scores.md').write_text(table(scores, comparison.score))


def table(scores: dict[str, dict[int, float]], key: str) -> str:
    """The scores in Markdown."""
    lines = [f'| | {key} | of each seed |', '|---|---|---|']
    for row, seeds in scores.items():
        # Detectors log shares, others per cent.
        values = [value * (100 if key.startswith('coco/') else 1) for value in seeds.values()]
        each = ', '.join(f'{value:.1f}' for value in values)
        lines.append(f'| {row} | {statistics.mean(values):.1f} | {each} |')
    return '\n'.join(lines) + '\n'


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
        print(f'{number} of {len(comparison.runs)}: {run.row}, seed {run.seed}', flush=True)
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
