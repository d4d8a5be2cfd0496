"""The training script of a project that only uses mmdiff: its configs inherit mmdiff's.

Usage: train.py CONFIG [--resume]    With --resume, for an iteration more, and then a test.
"""

import sys

from mmengine.config import Config
from mmengine.runner import Runner

import mmdiff  # noqa: F401  makes mmdiff:: known

cfg = Config.fromfile(sys.argv[1])
cfg.work_dir = 'work'
cfg.resume = '--resume' in sys.argv
cfg.train_cfg.max_iters += cfg.resume
runner = Runner.from_cfg(cfg)
runner.train()
if cfg.resume:
    runner.test()
