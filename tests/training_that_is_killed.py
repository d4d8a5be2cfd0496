"""Train a small segmentor in processes that are killed, until so many were.

Usage: training_that_is_killed.py DATA_ROOT WORK_DIR [KILLS, by default 20]

Imports once and forks for each attempt, so that an attempt takes a second. Prints how many
processes were killed, and how often the run then ended with the weights of an undisturbed one.
"""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.utils import register_all_modules

from mmdiff.engine.weights_only import load_run
from mmdiff.models import GuidedDiffusionBackbone  # noqa: F401  imported before the forks

register_all_modules(init_default_scope=False)
ROOT = Path(__file__).parent.parent
ITERATIONS = 10


def config(data_root, work_dir):
    cfg = Config.fromfile(ROOT / 'configs' / 'upernet_gd_digit-scenes.py')
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.data_root = str(data_root)
    # Noise and dropout are random, and must be the same after a kill.
    cfg.model.backbone.update(frozen='none', noise='random')
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.train_cfg.max_iters = ITERATIONS
    cfg.default_hooks.checkpoint.update(interval=1, save_best=None)
    cfg.log_level = 'WARNING'
    cfg.work_dir = str(work_dir)
    cfg.resume = True
    return cfg


def start(data_root, work_dir, fatal_call=None):
    """A process that trains, or goes on with training.

    It kills itself at the third call of ``fatal_call``, a function of the module os.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        torch.set_num_threads(1)
        runner = Runner.from_cfg(config(data_root, work_dir))
        if fatal_call:
            die_at_the_third_call(fatal_call)
        runner.train()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def die_at_the_third_call(name):
    function, calls = getattr(os, name), []

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(os, name, call)


def last_checkpoint(work_dir):
    """What a run would resume from; it must be whole."""
    pointer = work_dir / 'last_checkpoint'
    if not pointer.exists():
        return None
    return load_run(pointer.read_text())


def was_killed(pid):
    """Wait for a process, which must have ended well or been killed."""
    status = os.waitpid(pid, 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, f'failed with status {status}'
    return status != 0


def kill_after(pid, seconds):
    """Kill a process after some time; whether it was still running then."""
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return was_killed(pid)


def killed_run(data_root, work_dir, rng, whole):
    """Train to the end in as many attempts as it takes; return how many were killed.

    ``whole`` is how many seconds it takes undisturbed.
    """
    # At what a checkpoint and last_checkpoint are written with, and at any time.
    attempts = ['fsync', 'replace', 'unlink'] + [None] * 40
    reached = 0
    for kills, fatal_call in enumerate(attempts):
        pid = start(data_root, work_dir, fatal_call)
        if not (was_killed(pid) if fatal_call else kill_after(pid, whole * rng.uniform(0.3, 0.8))):
            return kills
        checkpoint = last_checkpoint(work_dir)
        before, reached = reached, checkpoint['meta']['iter'] if checkpoint else 0
        if reached == before:
            # The machine has become slower.
            whole *= 1.2
    raise AssertionError(f'not at the end after {len(attempts)} attempts')


def main():
    data_root, out = map(Path, sys.argv[1:3])
    wanted = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    torch.set_num_threads(1)
    rng = random.Random(0)
    begin = time.monotonic()
    assert not was_killed(start(data_root, out / 'undisturbed'))
    whole = time.monotonic() - begin
    expected = last_checkpoint(out / 'undisturbed')
    assert expected['meta']['iter'] == ITERATIONS
    kills = runs = 0
    while kills < wanted:
        work_dir = out / f'killed_{runs}'
        kills += killed_run(data_root, work_dir, rng, whole)
        checkpoint = last_checkpoint(work_dir)
        assert checkpoint['meta']['iter'] == ITERATIONS
        for key, value in expected['state_dict'].items():
            assert torch.equal(value, checkpoint['state_dict'][key]), key
        assert not list(work_dir.glob('*.partial'))
        runs += 1
    print(f'{kills} processes killed, {runs} of {runs} runs with the weights of the undisturbed')


if __name__ == '__main__':
    main()
