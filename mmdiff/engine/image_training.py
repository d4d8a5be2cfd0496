"""What the command lines share that train on images without labels."""

import argparse

from mmengine.config import Config
from mmengine.runner import Runner

from mmdiff.engine.cli import (
    add_run_arguments,
    add_training_arguments,
    check_data,
    load_training_config,
)


def train_on_images(description: str) -> Config:
    """Read a command line, and train as its config says.

    Args:
        description (str): Of the command.

    Returns:
        Config: The run's config.

    Raises:
        SystemExit: If the config does not suit, or its data is not there.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_run_arguments(parser)
    add_training_arguments(parser)
    args = parser.parse_args()
    cfg = load_training_config(args)
    if 'runner_type' in cfg:
        raise SystemExit(
            f'config: runner_type={cfg.runner_type!r} in {args.config}, but {parser.prog} runs '
            "with MMEngine's Runner only (no FSDP)"
        )
    check_data(cfg, 'train', 'val')
    Runner.from_cfg(cfg).train()
    return cfg
