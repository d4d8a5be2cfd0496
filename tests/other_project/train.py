"""The training script of a project that only uses mmdiff: its configs inherit mmdiff's."""

import sys

from mmengine.config import Config
from mmengine.runner import Runner

import mmdiff  # noqa: F401  makes mmdiff:: known

cfg = Config.fromfile(sys.argv[1])
cfg.work_dir = 'work'
Runner.from_cfg(cfg).train()
