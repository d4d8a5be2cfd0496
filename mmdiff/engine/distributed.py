"""Distributed runs on a machine without a GPU."""

import atexit

import torch
from mmengine.config import Config
from mmengine.logging import print_log


def init_cpu_distributed(cfg: Config) -> None:
    """Prepare a config for a distributed run on CPU processes.

    MMEngine's launcher needs a GPU. This starts the process group (gloo)
    before MMEngine would, and replaces what works on GPUs only: synchronised
    batch norm is off, so that each process normalises its own batch.

    Args:
        cfg (Config): The run's config, changed in place.
    """
    torch.distributed.init_process_group('gloo')
    # Or the process aborts at its end, now and then, as threads of the group are still at work.
    atexit.register(torch.distributed.destroy_process_group)
    cfg.sync_bn = None
    if 'strategy' in cfg:
        cfg.strategy.sync_bn = None
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    print_log('No GPU: processes talk through gloo, and batch norm is not synchronised.')
