"""Compute the features of a frozen backbone once, for any head to be trained on.

For each split of a classifier's config (and, where the pipeline flips, for each image and its
mirror image) the maps of all blocks and timesteps are written to OUT/{train,val,test}. Then
`tools/train.py CONFIG --feature-cache OUT` trains on them. Safe to kill and to run again: it goes
on where it was, also with another number of processes. Images that cannot be read are left out and
named at the end, with exit status 1. On several GPUs or nodes: tools/dist_run.sh, slurm_run.sh.
"""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint, set_random_seed

from mmdiff.engine import init_tool_distributed, leave_cpu_distributed
from mmdiff.engine.cli import add_cfg_options, add_launcher, check_data, load_config
from mmdiff.models import DiffusionBackbone
from mmdiff.utils import keep_freed_memory


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help="a classifier's config with a frozen backbone")
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument(
        '--batch-size', type=int, default=32, help='of each process (default: %(default)s)'
    )
    parser.add_argument(
        '--num-workers', type=int, default=1, help='of each process (default: %(default)s)'
    )
    parser.add_argument(
        '--pool',
        type=int,
        help='store maps pooled to POOL x POOL, for tools/knn.py and for heads of that pool_size '
        '(default: whole maps)',
    )
    parser.add_argument(
        '--dtype',
        choices=['float32', 'float16'],
        default='float32',
        help='type of the stored values; float16 halves the size (default: %(default)s)',
    )
    add_cfg_options(parser)
    add_launcher(parser, 'none', 'pytorch', 'slurm')
    return parser.parse_args()


def build_model(cfg, data_preprocessor) -> torch.nn.Module:
    """The config's model as a training run starts with it, in evaluation."""
    init_default_scope(cfg.default_scope)
    # Where it is None, one that all processes share.
    set_random_seed(cfg.get('randomness', {}).get('seed'))
    cfg.model.setdefault('data_preprocessor', data_preprocessor)
    model = MODELS.build(cfg.model)
    model.init_weights()
    if cfg.get('load_from'):
        load_checkpoint(model, cfg.load_from, map_location='cpu')
    return model.to(get_device()).eval()


def main():
    args = parse_args()
    init_tool_distributed(args.launcher)
    cfg = load_config(args.config, args.cfg_options)
    check_data(cfg, 'train', 'val', 'test')
    # Not before: it needs MMPretrain, which load_config has looked for.
    from mmdiff.classification import FeatureStoreError
    from mmdiff.classification.feature_store import only_writer

    if not torch.cuda.is_available():
        keep_freed_memory()
    try:
        with only_writer(args.out) if is_main_process() else nullcontext():
            unreadable = cache_features(args, cfg)
    except FeatureStoreError as error:
        raise SystemExit(str(error)) from None
    if unreadable and is_main_process():
        print(
            f'Cached all but {len(unreadable)} images, which could not be read. Run this again if '
            'they only could not be reached; otherwise mend them or take them out, and remove the '
            'cache, which is of the files as they are:\n' + '\n'.join(unreadable),
            file=sys.stderr,
        )
    elif is_main_process():
        print(f'Cached train, val, test in {args.out}')
    # The launcher ends all processes when the first one fails.
    barrier()
    if unreadable:
        raise SystemExit(1)
    leave_cpu_distributed()


def cache_features(args, cfg) -> list[str]:
    """Write what is missing, beside the other processes; return why images cannot be read."""
    from mmdiff.classification.cache_writer import open_stores, write_features
    from mmdiff.classification.feature_cache import (
        SPLITS,
        check_frozen,
        data_preprocessor,
        split_settings,
    )

    splits = {split: split_settings(cfg, split) for split in SPLITS}
    model = build_model(cfg, data_preprocessor(cfg))
    check_frozen(model.backbone)
    stores = open_stores(splits, model, args.out, args.pool, args.dtype)
    missing = {split: store.missing() for split, (store, _) in stores.items()}
    # All processes share out the same images.
    barrier()
    for module in model.backbone.modules():
        if isinstance(module, DiffusionBackbone):
            module.prepare_for_inference()
    unreadable = []
    for split, (store, dataset) in stores.items():
        unreadable += write_features(
            store, dataset, model, args.batch_size, args.num_workers, split, missing[split]
        )
    for store, _ in stores.values():
        if not unreadable:
            store.check_complete()
    return unreadable


if __name__ == '__main__':
    main()
