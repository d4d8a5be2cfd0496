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
    search:                     # optional: settings that are found for each row before its runs
      options:                  # of the search alone: scored on images that the runs are not
        val_dataloader.dataset.ann_file: validation.txt
      values:                   # one setting after the other, the others at their best or first
        rate:
          1e-3: {optim_wrapper.optimizer.lr: 1e-3}
          3e-3: {optim_wrapper.optimizer.lr: 3e-3}

With labels, each row is trained with each number of images, which are drawn by the seed: all rows
see the same ones, and the more contain the fewer. A search has the first seed, and is done for each
row and number of labels; more of the score is better.

The work dirs are OUT/ROW/seed-N, or OUT/ROW/labels-N/seed-N, beside a folder search for those of
the search. Runs that are at their end are not trained again, those that were begun are resumed.
Writes OUT/scores.csv and OUT/scores.md after each run, with the last score, with labels a figure,
OUT/scores.png, and with a search OUT/search.csv.
"""

import argparse
import csv
import statistics
import subprocess
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

from comparison import Comparison, Run
from scores import COLUMNS, Scores

from mmdiff.engine.cli import positive
from mmdiff.utils import read_scalars
from mmdiff.visualization import draw_curves


def write(comparison: Comparison, out: Path) -> None:
    """Write what is there: every score, a table of means, and with labels a figure."""
    scores = comparison.scores()
    out.mkdir(parents=True, exist_ok=True)
    with (out / 'scores.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, comparison.score])
        for row, columns in scores.items():
            for labels, seeds in columns.items():
                writer.writerows(
                    (row, labels, seed, f'{score:.6g}') for seed, score in seeds.items()
                )
    read = Scores.read(out / 'scores.csv') if scores else Scores(comparison.score, {})
    headings = [*dict.fromkeys(str(run.labels) for run in comparison.runs)]
    (out / 'scores.md').write_text(table(read, headings))
    if comparison.searches:
        write_search(comparison, out)
    if len(headings) > 1:
        figure = {f'{read.key}: mean, lowest and highest of the seeds': read.lines()}
        draw_curves(out / 'scores.png', figure, x_label='labelled images')


def table(scores: Scores, headings: list[str]) -> str:
    """The scores in Markdown: the mean, and in brackets each seed's."""
    key = scores.key
    columns = [key] if headings == ['all'] else [f'{key}, {n} labels' for n in headings]
    lines = [f'| | {" | ".join(columns)} |', '|---' * (len(columns) + 1) + '|']
    for row, of_labels in scores.values.items():
        cells = [cell(of_labels.get(labels, ())) for labels in headings]
        lines.append(f'| {row} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def cell(values: list[float]) -> str:
    if not values:
        return ''
    return f'{statistics.mean(values):.1f} ({", ".join(f"{value:.1f}" for value in values)})'


def write_search(comparison: Comparison, out: Path) -> None:
    """Write the scores of the searches that are there."""
    with (out / 'search.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['row', 'labels', *comparison.searches[0].values, comparison.score])
        for search in comparison.searches:
            row, labels = search.run.row, search.run.labels
            for values, run in search.trained():
                score = run.score(comparison.score)
                if score is not None:
                    writer.writerow((row, labels, *values.values(), f'{score:.6g}'))


def train(runs: Sequence[Run], comparison: Comparison, jobs: int, out: Path) -> None:
    """Train those that are not at their end, and write what is there after each of them."""
    for run in runs:
        run.check_settings()
    waiting = [run for run in runs if run.score(comparison.score) is None]
    total, running = len(waiting), {}
    # Python 3.11 cannot parse in two threads at once: configs are read in this one alone.
    with ThreadPoolExecutor(jobs) as executor:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                number = f'{total - len(waiting)} of {total}'
                print(f'{number}: {run.row}, {run.labels} labels, seed {run.seed}', flush=True)
                running[executor.submit(subprocess.run, run.command)] = run
            write(comparison, out)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                check_trained(running.pop(future), future.result().returncode, comparison.score)


def check_trained(run: Run, returncode: int, score: str) -> None:
    if returncode:
        raise SystemExit(f'It failed: {" ".join(run.command)}')
    if run.score(score) is None:
        raise SystemExit(
            f'{run.work_dir} logged no {score} at its end: let val_interval end there, and score '
            f'be one of {", ".join(read_scalars(run.work_dir))}'
        )


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('comparison', type=Path, help='YAML file')
    parser.add_argument(
        '--out', type=Path, help='folder of the runs and tables (default: work_dirs/FILE_NAME)'
    )
    parser.add_argument('--jobs', type=positive, default=1, help='runs at once (default: 1)')
    return parser.parse_args()


def main():
    args = parse_args()
    out = args.out or Path('work_dirs') / args.comparison.stem
    comparison = Comparison.read(args.comparison, out)
    while left := [run for search in comparison.searches for run in search.left()]:
        train(left, comparison, args.jobs, out)
    train(comparison.runs, comparison, args.jobs, out)
    write(comparison, out)
    print((out / 'scores.md').read_text() + f'\nWrote {out}/scores.csv and scores.md')


if __name__ == '__main__':
    main()
