"""Draw what a diffusion model and its features are worth over the images that it saw.

Reads the error of the predicted noise from the work dir of tools/pretrain.py, and scores of its
U-Nets from the scores.csv of compare_runs.py, of rows named `iteration N`. Images seen are
iterations times the batch size of the work dir's config, of one process.
"""

import argparse
import re
from pathlib import Path

from mmengine.config import Config
from scores import Scores

from mmdiff.utils import read_scalars
from mmdiff.visualization import draw_curves


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='PNG file to write')
    parser.add_argument('work_dir', type=Path, help='of tools/pretrain.py')
    parser.add_argument('scores', type=Path, help='scores.csv of compare_runs.py')
    return parser.parse_args()


def of_iterations(scores: Scores, path: Path) -> dict[int, list[float]]:
    """The values of all seeds by iteration."""
    values = {}
    for row, of_labels in scores.values.items():
        iteration = re.fullmatch(r'iteration (\d+)', row)
        if iteration is None:
            raise SystemExit(f"{path}: rows must be named 'iteration N', got {row!r}")
        values[int(iteration[1])] = [value for of in of_labels.values() for value in of]
    return values


def main():
    args = parse_args()
    try:
        errors = read_scalars(args.work_dir)['noise_error/mean']
    except (FileNotFoundError, KeyError):
        raise SystemExit(f'{args.work_dir} logged no noise_error/mean') from None
    scores = Scores.read(args.scores)
    config = Config.fromfile(max(args.work_dir.glob('*/vis_data/config.py')))
    batch_size = config.train_dataloader.batch_size
    lines = {
        'error of the predicted noise': errors,
        scores.key: of_iterations(scores, args.scores),
    }
    curves = {
        title: {args.work_dir.name: [(n * batch_size, value) for n, value in sorted(line.items())]}
        for title, line in lines.items()
    }
    draw_curves(args.out, curves, x_label='images seen')
    print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
