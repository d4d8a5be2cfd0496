"""Processes that run together: without a GPU, and in tools without MMEngine's runner."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
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


def init_tool_distributed(launcher: str) -> None:
    """Start the process group of a tool whose processes share out work, on GPUs or CPUs.

    They send each other little, so that gloo serves on GPUs, too. Each takes
    the GPU of its local rank, where there are any.

    Args:
        launcher (str): ``'none'`` for a single process, ``'pytorch'`` for
            torchrun, or ``'slurm'``.
    """
    if launcher == 'none':
        return
    if launcher == 'slurm':
        _set_slurm_variables()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']) % torch.cuda.device_count())
    # At the end the fastest process waits for the slowest one.
    torch.distributed.init_process_group('gloo', timeout=timedelta(days=7))


@contextmanager
def main_process_first() -> Iterator[None]:
    """Let the other processes do something when the main process has done it."""
    if not is_main_process():
        barrier()
    yield
    if is_main_process():
        barrier()


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


def _set_slurm_variables():
    """Set the variables that torchrun sets."""
    for name, of_slurm in (
        ('RANK', 'SLURM_PROCID'),
        ('WORLD_SIZE', 'SLURM_NTASKS'),
        ('LOCAL_RANK', 'SLURM_LOCALID'),
    ):
        os.environ[name] = os.environ[of_slurm]
    command = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
    nodes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    os.environ.setdefault('MASTER_ADDR', nodes[0])
    os.environ.setdefault('MASTER_PORT', '29500')
