"""Time, count and weigh diffusion features: mmdiff beside other ways to the same ones.

Every contender runs in a process of its own, on the same weights and input; they take turns, and
one more process times plain convolutions and matrix products, the roofline. Needs
`pip install -r requirements/bench.txt`.
"""

import argparse
import platform
import shlex
import statistics
import sys
import tempfile
from dataclasses import replace
from datetime import date
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import torch
from benchmark_worker import (
    DTYPES,
    Task,
    architecture,
    contenders_of,
    random_weights,
    serve,
)

from mmdiff.diffusion import adm, dit, get_architecture, stable_diffusion

TASKS = {
    adm.Architecture: (
        Task('output'),
        Task('b=24', blocks=(24,)),
        Task('B={33,30,27,24}', blocks=(33, 30, 27, 24)),
        Task('DifFeed bottleneck, b=24', blocks=(24,), feedback='bottleneck'),
        Task('DifFeed windowed, b=24', blocks=(24,), feedback='windowed'),
        Task('DifFormer, T={90,150,300}, B={19,24,30}', (19, 24, 30), timesteps=(90, 150, 300)),
        Task('training, b=24', blocks=(24,), trained='U-Net'),
        Task('training with checkpointing, b=24', (24,), trained='U-Net', checkpointing=True),
        Task('training, DifFeed bottleneck, b=24', (24,), 'bottleneck', trained='feedback'),
    ),
    adm.EncoderArchitecture: (Task('output'), Task('b=9', blocks=(9,)), Task('b=19', blocks=(19,))),
    # From latents: the autoencoder is the same for all.
    stable_diffusion.StableDiffusionArchitecture: (
        Task('output'),
        Task('b=13', blocks=(13,)),
        Task('b=16', blocks=(16,)),
        Task('B={22,19,16,13}', blocks=(22, 19, 16, 13)),
        Task('training, b=16', blocks=(16,), trained='U-Net'),
    ),
    dit.TransformerArchitecture: (
        Task('output'),
        Task('b=14', blocks=(14,)),
        Task('B={6,12,18,24}', blocks=(6, 12, 18, 24)),
    ),
}


# Between contenders, relative to the norm of a map.
TOLERANCE = {'float32': 1e-3, 'tf32': 1e-2, 'bfloat16': 0.1, 'float16': 0.02}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--arch', default='adm-256-uncond', help='default: %(default)s')
    parser.add_argument(
        '--size', type=positive, default=256, help='side in pixels, default: %(default)s'
    )
    parser.add_argument(
        '--batch-size', type=positive, nargs='+', default=[1], help='one or more; default: 1'
    )
    parser.add_argument(
        '--dtype',
        choices=DTYPES,
        default='float32',
        help='precision; tf32 and float16 need a GPU; default: %(default)s',
    )
    parser.add_argument('--rounds', type=positive, default=5, help='default: %(default)s')
    names = ['; '.join(task.name for task in tasks) for tasks in TASKS.values()]
    parser.add_argument(
        '--tasks',
        nargs='+',
        metavar='TASK',
        help='what to compute, of guided diffusion {}; of its classifier {}; of Stable Diffusion '
        '{}; of a diffusion transformer {}; default: all but training'.format(*names),
    )
    parser.add_argument(
        '--contenders',
        nargs='+',
        metavar='CONTENDER',
        help='of guided-diffusion, diffusers and mmdiff; default: all that have the architecture',
    )
    parser.add_argument('--out', type=Path, help='Markdown file to write')
    args = parser.parse_args()
    if args.dtype in ('tf32', 'float16') and not torch.cuda.is_available():
        parser.error(f'--dtype {args.dtype} needs a GPU, and there is none')
    arch = get_architecture(args.arch)
    if args.size % arch.total_stride:
        parser.error(f'--size must be a multiple of {arch.total_stride}, got {args.size}')
    tasks = {task.name: task for task in TASKS[type(arch)]}
    contenders = list(contenders_of(arch))
    args.tasks = args.tasks or [name for name, task in tasks.items() if task.trained is None]
    args.contenders = args.contenders or contenders
    for option, known in (('tasks', tasks), ('contenders', contenders)):
        for name in getattr(args, option):
            if name not in known:
                parser.error(f'--{option} {name!r}: {args.arch} has {"; ".join(known)}')
    args.tasks = [replace(tasks[name], dtype=args.dtype) for name in args.tasks]
    for task in args.tasks:
        if max(task.blocks, default=0) > arch.num_blocks:
            parser.error(f'--tasks {task.name!r}: {args.arch} has {arch.num_blocks} blocks')
    return args


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number


class Worker:
    """A contender in a process of its own."""

    def __init__(self, *args):
        context = get_context('spawn')
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, *args), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, what: str):
        """Have it do something, and wait for the answer."""
        self.connection.send(what)
        return self.connection.recv()

    def stop(self) -> None:
        self.connection.send(None)
        self.process.join()


def measure(
    task: Task, batch_size: int, args, weights: Path, device: str
) -> dict[str, dict[str, float]]:
    """Median seconds, MACs and peak memory of each contender, and the roofline's FLOP/s."""
    given = architecture(args.arch).input
    sides = [args.size // given.stride] * 2
    shape = (batch_size, given.channels, *sides)
    workers = {
        name: Worker(name, task, args.arch, weights, shape, device)
        for name in ('roofline', *args.contenders)
    }
    check_same({name: workers[name].ask('features') for name in args.contenders}, task)
    answers = {name: [] for name in workers}
    # The first round warms up.
    for number in range(args.rounds + 1):
        for name, worker in workers.items():
            answer = worker.ask('run')
            if number:
                answers[name].append(answer)
            print(f'{task.name}, round {number}, {name}: {answer:.4g}', file=sys.stderr)
    measured = {
        name: dict(
            seconds=statistics.median(answers[name]),
            memory=workers[name].ask('memory'),
            macs=workers[name].ask('macs'),
        )
        for name in args.contenders
    }
    measured['roofline'] = dict(flops=statistics.median(answers['roofline']))
    for worker in workers.values():
        worker.stop()
    return measured


def check_same(features: dict[str, list[torch.Tensor]], task: Task) -> None:
    """Stop where contenders do not compute the same."""
    (first, expected), *others = features.items()
    for name, found in others:
        for a, b in zip(found, expected, strict=True):
            difference = ((a - b).norm() / b.norm()).item()
            # Not so for NaN.
            if not difference <= TOLERANCE[task.dtype]:
                raise SystemExit(
                    f'{task.name}, {task.dtype}: {name} differs from {first} by {difference:.2g}, '
                    f'relatively; at most {TOLERANCE[task.dtype]} is allowed'
                )


def rows(task: Task, measured: dict[str, dict[str, float]]) -> list[str]:
    roofline = measured['roofline']['flops']
    contenders = {name: m for name, m in measured.items() if name != 'roofline'}
    first = next(iter(contenders.values()))
    digits = 2 if first['seconds'] >= 1 else 4
    return [
        f'| {task.name} | {name} | {m["macs"] / 1e9:.1f} | {m["seconds"]:.{digits}f} | '
        f'{first["seconds"] / m["seconds"]:.2f}x | {m["memory"] / 1e9:.2f} | '
        f'{m["memory"] / first["memory"]:.0%} | {2 * m["macs"] / m["seconds"] / roofline:.0%} |'
        for name, m in contenders.items()
    ]


def machine(device: str) -> str:
    if device.startswith('cuda'):
        return torch.cuda.get_device_name()
    cpu = Path('/proc/cpuinfo')
    names = [
        line.split(':')[1].strip()
        for line in (cpu.read_text().splitlines() if cpu.exists() else ())
        if line.startswith('model name')
    ]
    return f'{torch.get_num_threads()} threads of {(names or [platform.processor()])[0]}'


def main():
    args = parse_args()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    table, rooflines = [], []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / 'unet.pt'
        torch.save(random_weights(args.arch), weights)
        for task, batch_size in product(args.tasks, args.batch_size):
            measured = measure(task, batch_size, args, weights, device)
            rooflines.append(measured['roofline']['flops'])
            if len(args.batch_size) > 1:
                task = replace(task, name=f'{task.name}, batch {batch_size}')
            table += rows(task, measured)
    text = '\n'.join(
        [
            f'`python {shlex.join(sys.argv)}`, {date.today()}, {machine(device)}, PyTorch '
            f'{torch.__version__}: {args.arch}, {args.dtype}, batch '
            f'{", ".join(map(str, args.batch_size))} of '
            f'{args.size}x{args.size}, median of {args.rounds} rounds. Roofline (the fastest of '
            f'some plain convolutions and matrix products): {min(rooflines) / 1e9:.0f} to '
            f'{max(rooflines) / 1e9:.0f} GFLOP/s.',
            '',
            '| | | GMAC | seconds | speed-up | peak GB | of the first | of the roofline |',
            '|---|---|---|---|---|---|---|---|',
            *table,
            '',
        ]
    )
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == '__main__':
    main()
