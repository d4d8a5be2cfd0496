"""Draw what runs logged, such as losses, over their iterations.

Reads the scalars.json files of a work dir, which hold a part each of a run that was resumed; where
parts overlap, the later one counts. Each KEY gets axes of its own, with a line for each run.
"""

import argparse
from pathlib import Path

from mmdiff.utils import read_scalars
from mmdiff.visualization import draw_curves


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', help='PNG file to write')
    parser.add_argument('work_dirs', type=Path, nargs='+', help='work dirs of the runs')
    parser.add_argument(
        '--keys', nargs='+', default=['loss'], help='what to draw (default: %(default)s)'
    )
    parser.add_argument('--log', action='store_true', help='logarithmic values')
    return parser.parse_args()


def main():
    args = parse_args()
    try:
        runs = {path.name: read_scalars(path) for path in args.work_dirs}
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    for name, scalars in runs.items():
        missing = [key for key in args.keys if key not in scalars]
        if missing:
            raise SystemExit(f'{name} logged no {", ".join(missing)}, but {", ".join(scalars)}')
    draw_curves(
        args.out,
        {key: {name: sorted(runs[name][key].items()) for name in runs} for key in args.keys},
        log=args.log,
    )
    print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
