"""Test a trained model: mIoU, AP or accuracy, whatever its config evaluates."""

import argparse
from pathlib import Path

from mmengine.runner import Runner

from mmdiff.engine import PrepareForInferenceHook, leave_cpu_distributed
from mmdiff.engine.cli import (
    add_run_arguments,
    check_checkpoint,
    check_data,
    load_run_config,
    open_checkpoint,
)
from mmdiff.engine.predictions import only_format, write_predictions
from mmdiff.engine.pretrained import load_pretrained
from mmdiff.engine.test_time_augmentation import augment_test


def parse_args():
    parser = argparse.ArgumentParser(description='Test a model.')
    # A folder of its own, as MMEngine writes the config there, and the training's is there.
    add_run_arguments(parser, work_dir='work_dirs/CONFIG_NAME/test')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file that tools/train.py wrote (default: load_from of the config, or '
        'else the weights that init_cfg names, where it does for the whole model)',
    )
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument(
        '--out',
        help='also write the predictions: label maps to a folder in MMSegmentation, a .pkl file in '
        'MMDetection and MMPretrain',
    )
    parser.add_argument(
        '--format-only',
        action='store_true',
        help="write to --out what a benchmark's server takes, and read no labels: label maps in "
        'MMSegmentation; in MMDetection, --out PREFIX gives PREFIX.bbox.json and PREFIX.segm.json',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help="merge the predictions for the views of each image in the config's tta_pipeline",
    )
    # Otherwise the checkpoint could not come after an option.
    return parser.parse_intermixed_args()


def show_predictions(cfg, folder):
    """Let the visualisation hook of the config's package write pictures."""
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise SystemExit('--show-dir needs a visualization hook in default_hooks of the config')
    if cfg.default_scope == 'mmpretrain':
        hook.update(enable=True, interval=1, out_dir=folder)
    elif cfg.default_scope == 'mmdet':
        hook.update(draw=True, test_out_dir=folder)
    else:
        # The original draws every so many batches, the fork all.
        hook.update(draw=True, interval=1)
        cfg.visualizer.save_dir = folder


def main():
    args = parse_args()
    cfg = load_run_config(args)
    if args.tta:
        augment_test(cfg)
    if args.format_only:
        only_format(cfg, args.out)
    elif args.out:
        write_predictions(cfg, args.out)
    check_data(cfg, 'test')
    checkpoint = args.checkpoint or cfg.get('load_from')
    if checkpoint:
        cfg.load_from, state_dict = open_checkpoint(checkpoint)
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show_dir:
        # MMDetection would take a relative path as one below the work dir.
        show_predictions(cfg, str(Path(args.show_dir).absolute()))
    runner = Runner.from_cfg(cfg)
    if checkpoint:
        check_checkpoint(runner.model, state_dict, cfg.load_from)
    else:
        load_pretrained(runner.model)
    runner.register_hook(PrepareForInferenceHook())
    runner.test()
    leave_cpu_distributed()


if __name__ == '__main__':
    main()
