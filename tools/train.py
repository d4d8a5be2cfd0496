"""Train a model of any OpenMMLab package on diffusion features."""

import argparse

from mmengine.runner import Runner

from mmdiff.engine.cli import add_run_arguments, load_run_config


def parse_args():
    parser = argparse.ArgumentParser(description='Train a model.')
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint, or from the latest one in the work dir',
    )
    parser.add_argument(
        '--feature-cache',
        metavar='DIR',
        help='train a classifier on what tools/cache_features.py wrote, in place of images',
    )
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = load_run_config(args)
    if args.amp:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.feature_cache:
        # Not before: it needs MMPretrain.
        from mmdiff.classification import use_feature_cache

        use_feature_cache(cfg, args.feature_cache)
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
