"""Check parity on a GPU, and write the table of docs/performance_gpu.md, within some minutes.

The most important rows come first, each is written as soon as it is measured, and what there was no
time for is listed. Packages are found as anywhere: by PYTHONPATH, too. A contender whose package is
missing is left out, and named.
"""

import argparse
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch
from benchmark import TASKS, positive_seconds
from benchmark_contenders import COMPILED, Task
from benchmark_report import Features, Goal, Report
from benchmark_session import Session
from benchmark_timing import WARM_UP, default_turn
from benchmark_training import Training

from mmdiff.diffusion import get_architecture

HALF = ('float16', 'bfloat16')
ADM = ('adm-256-uncond', 256)
STABLE_DIFFUSION = ('sd-1', 512)
DIT = ('dit-xl-2', 256)
CONFIGS = Path(__file__).parents[2] / 'configs'
UPERNET = (str(CONFIGS / 'upernet_gd_ade20k.py'), 512)
MASK_RCNN = (str(CONFIGS / 'mask-rcnn_gd_coco.py'), 1024)

B24 = dict(what='adm-256-uncond, b=24', contender='mmdiff', dtype=HALF)
# On an H100.
GOALS = (
    Goal(B24 | dict(batch_size=1), 'seconds', 0.006),
    Goal(B24 | dict(batch_size=8), 'seconds', 0.017),
    Goal(B24 | dict(batch_size=32), 'seconds', 0.062),
    Goal(B24 | dict(batch_size=8), 'memory', 2e9),
    # The authors' own half precision is float16.
    Goal(B24 | dict(batch_size=8, dtype='float16'), 'speed_up', 6.5),
    Goal(dict(what='upernet_gd_ade20k', dtype=HALF, with_cp=True), 'seconds', 0.22),
    Goal(dict(what='mask-rcnn_gd_coco', dtype=HALF, with_cp=True), 'seconds', 0.30),
)


def plan() -> list[Features | Training]:
    """All rows, the most important first."""
    b24 = ['b=24']
    others = [
        'B={33,30,27,24}',
        'DifFeed bottleneck, b=24',
        'DifFormer, T={90,150,300}, B={19,24,30}',
    ]
    return [
        *features(ADM, 'mmdiff', 'float16', b24, (8, 1, 32)),
        *features(ADM, 'guided-diffusion', 'float16', b24),
        *features(ADM, 'mmdiff', 'bfloat16', b24, (8, 1, 32)),
        *features(ADM, 'mmdiff', 'float16', others),
        # As the configs are.
        training(UPERNET, 'float16', with_cp=True, cudnn_benchmark=True),
        training(MASK_RCNN, 'float16', with_cp=True, cudnn_benchmark=False),
        *features(ADM, 'guided-diffusion', 'float16', others),
        *features(ADM, 'diffusers', 'float16', b24),
        *features(ADM, 'mmdiff', 'tf32', b24, (8, 1, 32)),
        *features(ADM, 'mmdiff', 'float32', b24, (8, 1, 32)),
        training(UPERNET, 'float16', with_cp=True, cudnn_benchmark=False),
        training(UPERNET, 'float16', with_cp=False, cudnn_benchmark=False),
        training(MASK_RCNN, 'float16', with_cp=False, cudnn_benchmark=False),
        training(UPERNET, 'bfloat16', with_cp=True, cudnn_benchmark=False),
        training(MASK_RCNN, 'bfloat16', with_cp=True, cudnn_benchmark=False),
        *features(ADM, 'guided-diffusion', 'float16', b24, (1, 32)),
        *features(ADM, 'diffusers', 'float16', b24, (1, 32)),
        *features(ADM, 'diffusers', 'float16', others),
        *features(STABLE_DIFFUSION, 'mmdiff', 'float16', ['b=16']),
        *features(STABLE_DIFFUSION, 'mmdiff', 'bfloat16', ['b=16']),
        *features(STABLE_DIFFUSION, 'diffusers', 'float16', ['b=16']),
        *features(DIT, 'mmdiff', 'float16', ['b=14']),
        *features(DIT, 'mmdiff', 'bfloat16', ['b=14']),
        *features(ADM, 'mmdiff', 'bfloat16', others),
        training(UPERNET, 'bfloat16', with_cp=False, cudnn_benchmark=False),
        training(MASK_RCNN, 'bfloat16', with_cp=False, cudnn_benchmark=False),
        training(MASK_RCNN, 'float16', with_cp=True, cudnn_benchmark=True),
        *features(ADM, COMPILED, 'float16', b24),
    ]


def features(
    model: tuple[str, int], contender: str, dtype: str, names: list[str], batch_sizes=(8,)
) -> list[Features]:
    """Rows of features of a model at a size, by the names of ``benchmark.py``."""
    tasks: dict[str, Task] = {task.name: task for task in TASKS[type(get_architecture(model[0]))]}
    return [
        Features(*model, replace(tasks[name], dtype=dtype), batch_size, contender)
        for name in names
        for batch_size in batch_sizes
    ]


def training(config: tuple[str, int], dtype: str, with_cp: bool, cudnn_benchmark: bool) -> Training:
    """A row of training steps."""
    options = (
        ('model.backbone.with_cp', with_cp),
        ('env_cfg.cudnn_benchmark', cudnn_benchmark),
    )
    return Training(*config, dtype, options)


def describe_machine() -> str:
    """What measured, and how."""
    versions = (
        f'driver {driver_version()}',
        f'CUDA {torch.version.cuda}',
        f'cuDNN {torch.backends.cudnn.version()}',
        f'PyTorch {torch.__version__}',
        f'Python {platform.python_version()}',
        f'{torch.get_num_threads()} threads of the host',
    )
    return (
        f'`python {shlex.join(sys.argv)}`, {date.today()}, {torch.cuda.get_device_name()}, '
        f'{", ".join(versions)}. Random weights. Features: frozen, median of the steps of '
        f'{default_turn("cuda")} s after {WARM_UP + 1} to warm up, each timed by events and '
        "waited for. Peak memory: of PyTorch's allocator. Roofline: the fastest of some plain "
        'convolutions and matrix products in the same precision.'
    )


def driver_version() -> str:
    """Of the GPU's driver."""
    if not shutil.which('nvidia-smi'):
        return 'unknown'
    query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/benchmark_gpu'),
        help='folder for benchmark_gpu.md and benchmark_gpu.csv; default: %(default)s',
    )
    parser.add_argument(
        '--minutes',
        type=positive_seconds,
        default=6,
        help='in which it ends; default: %(default)s',
    )
    parser.add_argument(
        '--compile-limit',
        type=positive_seconds,
        metavar='SECONDS',
        default=60,
        help=f'after which {COMPILED} is given up; default: %(default)s',
    )
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error('this needs a GPU, and PyTorch finds none; benchmark.py runs on a CPU')
    return args


def main():
    args = parse_args()
    report = Report(args.out, describe_machine(), plan(), GOALS)
    with tempfile.TemporaryDirectory() as folder:
        Session(report, 'cuda', Path(folder), args.minutes, args.compile_limit).run()
    path = args.out / 'benchmark_gpu.md'
    print(path.read_text())
    print(f'Written to {path}')
    if report.failed():
        raise SystemExit(f'{len(report.failed())} rows failed: see {path}')


if __name__ == '__main__':
    main()
