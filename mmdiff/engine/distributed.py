"""Distributed runs on a machine without a GPU."""

import os
import sys

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
    cfg.sync_bn = None
    if 'strategy' in cfg:
        cfg.strategy.sync_bn = None
    # As MMEngine would, but for the devices.
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = wrapper | (cfg.get('model_wrapper_cfg') or {}) | dict(device_ids=None)
    print_log('No GPU: processes talk through gloo, and batch norm is not synchronised.')


def leave_cpu_distributed() -> None:
    """End a process of a distributed run on CPUs that has done its work; others return.

    An ordinary end aborts one time in thirty (PyTorch 2.13), when C++ clears
    up after Python, and the launcher takes that for a failure and stops the
    processes that are still writing.
    """
    if not torch.distributed.is_initialized() or torch.distributed.get_backend() != 'gloo':
        return
    torch.distributed.barrier()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
