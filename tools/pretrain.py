"""Train a diffusion model on images, without labels, for the backbones to start from.

Besides checkpoints, the work dir gets unet.pt (the averaged weights, in guided-diffusion's format),
and pictures of samples.
"""

import argparse

from mmengine.runner import Runner

from mmdiff.engine import leave_cpu_distributed
from mmdiff.engine.cli import (
    add_run_arguments,
    add_training_arguments,
    check_data,
    load_training_config,
)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_run_arguments(parser)
    add_training_arguments(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = load_training_config(args)
    if 'runner_type' in cfg:
        raise SystemExit(
            f'config: runner_type={cfg.runner_type!r} in {args.config}, but pretraining runs with '
            "MMEngine's Runner only (no FSDP)"
        )
    check_data(cfg, 'train', 'val')
    Runner.from_cfg(cfg).train()
    print(f'The U-Net: {cfg.work_dir}/unet.pt')
    leave_cpu_distributed()


if __name__ == '__main__':
    main()
