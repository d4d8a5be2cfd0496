"""Draw the scores of comparisons over the number of labels, side by side.

Reads a scores.csv of compare_runs.py for each axes. The lines are means, in a band from the lowest
to the highest of the seeds.
"""

import argparse
from pathlib import Path

from scores import Scores

from mmdiff.visualization import draw_curves


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='PNG file to write')
    parser.add_argument('scores', nargs='+', metavar='TITLE=SCORES_CSV')
    return parser.parse_args()


def main():
    args = parse_args()
    curves = {}
    for argument in args.scores:
        title, given, path = argument.partition('=')
        if not given:
            raise SystemExit(f'scores: must be TITLE=SCORES_CSV, got {argument}')
        curves[title] = Scores.read(Path(path)).lines()
    draw_curves(args.out, curves, x_label='labelled images')
    print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
