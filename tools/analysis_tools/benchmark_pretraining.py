"""Count the images a second of pretraining: tools/pretrain.py beside a bare PyTorch loop.

Both train the model of a config on its images, with its optimizer, precision and averaged weights.
The bare loop has crops that are in memory, and nothing else: no hooks, no log. They take turns,
each turn in a process of its own; the config's data must be there.
"""

import argparse
import statistics
import tempfile
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from time import perf_counter

import torch
from benchmark_timing import on_gpu
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import Runner

from mmdiff.engine.cli import add_cfg_options, load_training_config
from mmdiff.engine.in_memory import ImagesInMemory
from mmdiff.models import FusedEMA

# Iterations at the start that are not timed.
NUM_FIRST = 5


def read_config(path: str, options: dict) -> Config:
    return load_training_config(
        Namespace(
            config=path, cfg_options=options, amp=False, amp_dtype=None, resume=None,
            work_dir='none is written', launcher='none', local_rank=0,
        )
    )  # fmt: skip


def now(device: str) -> float:
    if on_gpu(device):
        torch.cuda.synchronize()
    return perf_counter()


class Clock(Hook):
    """Notes when the iterations ended."""

    priority = 'LOWEST'

    def __init__(self, device: str):
        self.device, self.ends = device, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.ends.append(now(self.device))


def train_as_the_tool(device: str, path: str, options: dict, steps: int) -> float:
    """Images a second of ``tools/pretrain.py``."""
    cfg = read_config(path, options)
    cfg.train_cfg.max_iters = NUM_FIRST + steps
    cfg.param_scheduler = None
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.interval = NUM_FIRST + steps + 1
    clock = Clock(device)
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = Runner.from_cfg(cfg)
        runner.register_hook(clock)
        runner.train()
    return rate(clock.ends, cfg.train_dataloader.batch_size)


def train_bare(device: str, path: str, options: dict, steps: int) -> float:
    """Images a second of a loop that does nothing else."""
    cfg = read_config(path, options)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).to(device).train()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    average = FusedEMA(model, momentum=1e-4, gamma=10)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    images = ImagesInMemory(dataset, torch.device(device), model.arch.image_size)
    batch_size, ends = cfg.train_dataloader.batch_size, []
    for iteration in range(NUM_FIRST + steps):
        inputs = images.batch(iteration, batch_size, seed=0).float() / 127.5 - 1
        losses = model(inputs, mode='loss')
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(model)
        ends.append(now(device))
    return rate(ends, batch_size)


def rate(ends: list[float], batch_size: int) -> float:
    return batch_size / statistics.median(b - a for a, b in pairwise(ends[NUM_FIRST - 1 :]))


WAYS = {'bare PyTorch loop': train_bare, 'tools/pretrain.py': train_as_the_tool}


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of tools/pretrain.py')
    parser.add_argument(
        '--steps', type=int, default=20, help='timed iterations of a turn (default: %(default)s)'
    )
    parser.add_argument('--rounds', type=int, default=2, help='turns (default: %(default)s)')
    add_cfg_options(parser)
    args = parser.parse_args()
    for name in ('steps', 'rounds'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    return args


def main():
    args = parse_args()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    rates = {name: [] for name in WAYS}
    for _ in range(args.rounds):
        for name, way in WAYS.items():
            with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
                settings = (device, args.config, args.cfg_options or {}, args.steps)
                rates[name].append(pool.submit(way, *settings).result())
            print(f'{name}: {rates[name][-1]:.1f} images a second', flush=True)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    first = next(iter(medians.values()))
    print('| | images a second | |\n|---|---|---|')
    for name, median in medians.items():
        print(f'| {name} | {median:.1f} | {median / first:.2f}x |')


if __name__ == '__main__':
    main()
