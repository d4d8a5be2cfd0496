"""What compare_runs.py trains: the runs of a comparison, and the searches before them."""

import copy
import random
import re
import sys
from argparse import ArgumentParser
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import yaml
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmdiff.engine.cli import add_cfg_options, load_config
from mmdiff.utils import read_scalars

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
        search (Search, optional): Finds settings that override these.
    """

    row: str
    labels: int | str
    seed: int
    config: Path
    options: dict
    work_dir: Path
    search: 'Search | None' = None

    @property
    def command(self) -> list[str]:
        options = self.all_options()
        if self.labels != 'all':
            options['train_dataloader.dataset.indices'] = self._drawn(options)
        return [
            sys.executable,
            str(TRAIN),
            str(self.config),
            '--work-dir',
            str(self.work_dir),
            '--resume',
            '--cfg-options',
            *_as_arguments(options),
        ]

    def all_options(self) -> dict:
        """The options, with those that the search found."""
        return self.options | (self.search.found_options() if self.search else {})

    def check_settings(self) -> None:
        """Refuse a work dir of other options.

        Raises:
            SystemExit: If the work dir has a run with other options.
        """
        if not (self.work_dir / self.config.name).is_file():
            return
        trained = Config.fromfile(self.work_dir / self.config.name)
        parser = ArgumentParser()
        add_cfg_options(parser)
        options = parser.parse_args(['--cfg-options', *_as_arguments(self.all_options())])
        for key, value in options.cfg_options.items():
            asked = copy.deepcopy(trained)
            asked.merge_from_dict({key: value})
            if asked.to_dict() != trained.to_dict():
                raise SystemExit(
                    f'{self.work_dir} was trained with another {key} than {value}: remove it, or '
                    'give another --out'
                )

    def _drawn(self, options: dict) -> str:
        cfg = load_config(str(self.config))
        dataset = dict(cfg.train_dataloader.dataset, pipeline=[])
        prefix = 'train_dataloader.dataset.'
        for key, value in options.items():
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
class Search:
    """Settings that are searched one after the other, the others at their best or first value.

    Attributes:
        score (str): The key of the score, of which more is better.
        run (Run): What is trained with each value. Its work dir is the folder of theirs.
        values (dict[str, dict[str, dict]]): The options by setting and value.
    """

    score: str
    run: Run
    values: dict[str, dict[str, dict]]

    def trained(self) -> list[tuple[dict[str, str], Run]]:
        """All values of the settings that are found, and of the one that is next.

        Returns:
            list[tuple[dict, Run]]: The value of each setting, and the run with
            them, which may have no score yet.
        """
        return self._progress()[1]

    def left(self) -> list[Run]:
        """What has to be trained before the next setting is found; none at the end."""
        return [run for _, run in self.trained() if run.score(self.score) is None]

    def found(self) -> dict[str, str] | None:
        """The best value of each setting, or None before all are trained."""
        return None if self.left() else self._progress()[0]

    def found_options(self) -> dict:
        """The options of the best values."""
        return self._options(self.found())

    def _progress(self) -> tuple[dict[str, str], list[tuple[dict[str, str], Run]]]:
        best = {setting: next(iter(values)) for setting, values in self.values.items()}
        trained = []
        for setting, values in self.values.items():
            here = [self._with({**best, setting: value}) for value in values]
            trained += [entry for entry in here if entry not in trained]
            scores = [run.score(self.score) for _, run in here]
            if None in scores:
                break
            best = here[scores.index(max(scores))][0]
        return best, trained

    def _with(self, values: dict[str, str]) -> tuple[dict[str, str], Run]:
        name = ', '.join(f'{setting} {value}' for setting, value in values.items())
        run = replace(
            self.run,
            row=f'{self.run.row}, {name}',
            options=self.run.options | self._options(values),
            work_dir=self.run.work_dir / folder_name(name),
        )
        return values, run

    def _options(self, values: dict[str, str]) -> dict:
        options = {}
        for setting, value in values.items():
            options |= self.values[setting][value]
        return options


@dataclass(frozen=True)
class Comparison:
    """What a file says.

    Attributes:
        score (str): The key of the score.
        runs (list[Run]): All of them, but those of the searches.
        searches (list[Search]): One for each row and number of labels, or none.
    """

    score: str
    runs: list[Run]
    searches: list[Search]

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
        _check_keys(file, 'the file', content, needed | {'labels', 'options', 'search'}, needed)
        numbers = content.get('labels', ['all'])
        for labels in numbers:
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
        runs, searches = [], {}
        # What is there when it is half done should be a whole table of fewer seeds.
        for seed, labels, row in product(content['seeds'], numbers, rows):
            config, options = rows[row]
            folder = out / folder_name(row) / (f'labels-{labels}' if 'labels' in content else '')
            options = options | {'randomness.seed': seed}
            run = Run(row, labels, seed, config, options, folder / f'seed-{seed}')
            if 'search' in content:
                # All seeds have that of the first.
                if (row, labels) not in searches:
                    searches[row, labels] = _search(file, content, run, folder / 'search')
                run = replace(run, search=searches[row, labels])
            runs.append(run)
        folders = {run.work_dir for run in runs}
        if len(folders) < len(runs):
            raise SystemExit(f'{file}: rows, labels or seeds share a folder: give them other names')
        return cls(content['score'], runs, [*searches.values()])

    def scores(self) -> dict[str, dict[int | str, dict[int, float]]]:
        """Scores of the runs at their end, by row, number of labels, and seed."""
        scores = {}
        for run in self.runs:
            score = run.score(self.score)
            if score is not None:
                scores.setdefault(run.row, {}).setdefault(run.labels, {})[run.seed] = score
        return scores


def _search(file: Path, content: dict, run: Run, folder: Path) -> Search:
    settings = content['search']
    _check_keys(file, 'search', settings, {'options', 'values'}, needed={'values'})
    if not isinstance(settings['values'], dict) or not settings['values']:
        raise SystemExit(
            f'{file}: search: values must have the values of each setting, got {settings["values"]}'
        )
    values = {}
    for setting, of in settings['values'].items():
        if not isinstance(of, dict) or not of or not all(isinstance(o, dict) for o in of.values()):
            raise SystemExit(
                f'{file}: search: values: {setting} must have the options of each value, as '
                f'VALUE: {{KEY: ...}}, got {of}'
            )
        values[setting] = {str(value): options for value, options in of.items()}
    options = run.options | (settings.get('options') or {})
    return Search(content['score'], replace(run, options=options, work_dir=folder), values)


def _as_arguments(options: dict) -> list[str]:
    return [f'{key}={value}' for key, value in options.items()]


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
