"""Check the data of a config before a run: pairs, sizes, labels, classes, each split.

Reads every image and label, prints how much each class has in each split, and what is wrong.
The exit status is 1 where there are errors.
"""

import argparse

from mmdiff.engine.cli import add_cfg_options, check_data, load_config


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of a segmentor, detector or classifier')
    parser.add_argument(
        '--sample', type=int, metavar='N', help='read N files of each split (default: all)'
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    if args.sample is not None and args.sample < 1:
        raise SystemExit(f'--sample must be at least 1, got {args.sample}')
    cfg = load_config(args.config, args.cfg_options)
    check_data(cfg, 'train', 'val', 'test')
    # Not before: it needs what load_config has looked for.
    from mmdiff.datasets.check import check_config

    report = check_config(cfg, args.sample)
    print(report)
    raise SystemExit(1 if report.errors else 0)


if __name__ == '__main__':
    main()
