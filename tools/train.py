"""Train a model of any OpenMMLab package on diffusion features."""

import argparse

from mmengine.registry import RUNNERS

from mmdiff.engine import leave_cpu_distributed
from mmdiff.engine.cli import (
    add_run_arguments,
    add_training_arguments,
    check_data,
    load_training_config,
)


def parse_args():
    parser = argparse.ArgumentParser(description='Train a model.')
    add_run_arguments(parser)
    add_training_arguments(parser)
    parser.add_argument(
        '--feature-cache',
        metavar='DIR',
        help='train a classifier on what tools/cache_features.py wrote, in place of images',
    )
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = load_training_config(args)
    if args.feature_cache:
        # Not before: it needs MMPretrain.
        from mmdiff.classification import use_feature_cache

        use_feature_cache(cfg, args.feature_cache)
    else:
        check_data(cfg, 'train', 'val')
    # MMEngine's Runner, unless the config has a runner_type.
    RUNNERS.build(cfg).train()
    leave_cpu_distributed()


if __name__ == '__main__':
    main()
