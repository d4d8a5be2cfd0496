"""Time, count and weigh diffusion features: mmdiff beside other ways to the same ones.

Every contender runs in a process of its own, on the same weights and input; they take turns, and
one more process times plain convolutions and matrix products, the roofline. On a CPU, where peak
memory is the process's, each task has new processes. Needs `pip install -r requirements/bench.txt`.
"""

import argparse
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path
from time import perf_counter

import torch
from benchmark_contenders import (
    COMPILED,
    DTYPES,
    RUNTIMES,
    Task,
    architecture,
    contenders_of,
    random_weights,
)
from benchmark_exported import export_graph
from benchmark_features import Contender, Roofline, check_difference, difference
from benchmark_timing import default_turn
from benchmark_worker import Worker

from mmdiff.diffusion import adm, dit, get_architecture, stable_diffusion
from mmdiff.engine.cli import positive
from mmdiff.models.backbones.precision import BFLOAT16_INSTRUCTIONS, cpu_flags

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
    parser.add_argument(
        '--turn',
        type=positive_seconds,
        metavar='SECONDS',
        help='how long a contender runs at least, when it is its turn; default: 5, on a GPU 0.5',
    )
    parser.add_argument(
        '--compile-limit',
        type=positive_seconds,
        metavar='SECONDS',
        default=60,
        help=f'after which {COMPILED} is given up; default: %(default)s',
    )
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
        help=f'of guided-diffusion, diffusers, {COMPILED} and mmdiff, and on a CPU '
        f'{" and ".join(RUNTIMES)}, which run the graph that mmdiff exports; default: '
        'guided-diffusion, diffusers and mmdiff, where they have the architecture',
    )
    parser.add_argument(
        '--neighbours',
        type=positive,
        metavar='N',
        help='on a CPU, also time each beside N processes that are busy all the time',
    )
    parser.add_argument(
        '--cold-start',
        action='store_true',
        help='also time a new process up to its first features: import, build, load, run; graphs '
        'are exported before',
    )
    parser.add_argument('--out', type=Path, help='Markdown file to write')
    args = parser.parse_args()
    args.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if args.dtype in ('tf32', 'float16') and args.device == 'cpu':
        parser.error(f'--dtype {args.dtype} needs a GPU, and there is none')
    args.turn = args.turn or default_turn(args.device)
    arch = get_architecture(args.arch)
    if args.size % arch.total_stride:
        parser.error(f'--size must be a multiple of {arch.total_stride}, got {args.size}')
    tasks = {task.name: task for task in TASKS[type(arch)]}
    contenders = [*contenders_of(arch), *RUNTIMES]
    args.tasks = args.tasks or [name for name, task in tasks.items() if task.trained is None]
    args.contenders = args.contenders or [
        name for name in contenders if name not in (COMPILED, *RUNTIMES)
    ]
    for option, known in (('tasks', tasks), ('contenders', contenders)):
        for name in getattr(args, option):
            if name not in known:
                parser.error(f'--{option} {name!r}: {args.arch} has {"; ".join(known)}')
    args.tasks = [replace(tasks[name], dtype=args.dtype) for name in args.tasks]
    for task in args.tasks:
        if max(task.blocks, default=0) > arch.num_blocks:
            parser.error(f'--tasks {task.name!r}: {args.arch} has {arch.num_blocks} blocks')
        if args.neighbours and args.device != 'cpu':
            parser.error('--neighbours is for a CPU')
        if COMPILED in args.contenders and (task.feedback or task.trained):
            parser.error(f'--tasks {task.name!r}: {COMPILED} is for features without feedback')
        for name in set(args.contenders) & set(RUNTIMES):
            if task.trained:
                parser.error(f'--tasks {task.name!r}: {name} trains nothing')
            if args.device != 'cpu':
                parser.error(f'--contenders {name!r} is measured on a CPU')
            if name == 'onnxruntime' and args.dtype != 'float32':
                parser.error(f'--contenders {name!r} is measured in float32, not {args.dtype}')
    return args


def positive_seconds(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f'must be more than 0, got {number}')
    return number


def start_workers(args) -> dict[str, Worker]:
    """The roofline and the contenders, each in a process of its own."""
    contenders = {name: Worker(Contender, name, args.device) for name in args.contenders}
    return {'roofline': Worker(Roofline, args.device)} | contenders


def measure(
    task: Task, batch_size: int, args, weights: Path, workers: dict[str, Worker]
) -> dict[str, dict[str, float]]:
    """Median seconds, MACs and peak memory of each contender, and the roofline's FLOP/s.

    What was not compiled in time has nothing.
    """
    given = architecture(args.arch).input
    sides = [args.size // given.stride] * 2
    shape = (batch_size, given.channels, *sides)
    measured, features = {}, {}
    if set(args.contenders) & set(RUNTIMES):
        export_graph(task, args.arch, weights, shape)
    for name in args.contenders:
        workers[name].ask('build', args.arch, weights, task, shape)
        limit = args.compile_limit if name == COMPILED else None
        try:
            features[name] = workers[name].ask('features', limit=limit)
        except TimeoutError:
            workers[name] = Worker(Contender, name, args.device)
            measured[name] = {}
    check_same(features, task)
    answers = time_in_turns(task, ('roofline', *features), args, workers)
    beside = {}
    if args.neighbours:
        with busy_processes(args.neighbours):
            beside = time_in_turns(task, tuple(features), args, workers)
    for name in features:
        measured[name] = dict(
            seconds=answers[name],
            memory=workers[name].ask('memory'),
            macs=workers[name].ask('macs'),
        )
        if beside:
            measured[name]['beside'] = beside[name]
        workers[name].ask('free')
    if args.cold_start:
        for name in features:
            started = perf_counter()
            worker = Worker(Contender, name, args.device)
            worker.ask('build', args.arch, weights, task, shape)
            worker.ask('features')
            measured[name]['cold'] = perf_counter() - started
            worker.stop()
    measured['roofline'] = dict(flops=answers['roofline'])
    return measured


def time_in_turns(
    task: Task, names: tuple[str, ...], args, workers: dict[str, Worker]
) -> dict[str, float]:
    """Median seconds of contenders, and FLOP/s of the roofline, that take turns."""
    answers = {name: [] for name in names}
    # The first round warms up.
    for number in range(args.rounds + 1):
        for name in names:
            if name == 'roofline':
                answer = workers[name].ask('flops', task, args.turn / 5)
            else:
                answer = statistics.mean(workers[name].ask('seconds', args.turn))
            if number:
                answers[name].append(answer)
            print(f'{task.name}, round {number}, {name}: {answer:.4g}', file=sys.stderr)
    return {name: statistics.median(found) for name, found in answers.items()}


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Processes that do nothing else than to take time."""
    processes = [
        subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(number)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def check_same(features: dict[str, list[torch.Tensor]], task: Task) -> None:
    """Stop where contenders do not compute the same."""
    first = next(iter(features), None)
    for name, found in features.items():
        what = f'{task.name}, {task.dtype}: {name} differs from {first}'
        check_difference(difference(found, features[first]), task.dtype, what)


def rows(task: Task, measured: dict[str, dict[str, float]], args) -> list[str]:
    roofline = measured['roofline']['flops']
    contenders = {name: measured[name] for name in args.contenders}
    first = next((m for m in contenders.values() if m), None)
    table = []
    for name, m in contenders.items():
        if not m:
            table.append(
                f'| {task.name} | {name} | | not compiled within {args.compile_limit:g} s | | | | |'
            )
            continue
        digits = 2 if first['seconds'] >= 1 else 4
        table.append(
            f'| {task.name} | {name} | {m["macs"] / 1e9:.1f} | {m["seconds"]:.{digits}f} | '
            f'{first["seconds"] / m["seconds"]:.2f}x | {m["memory"] / 1e9:.2f} | '
            f'{m["memory"] / first["memory"]:.0%} | {2 * m["macs"] / m["seconds"] / roofline:.0%} |'
        )
        if 'beside' in m:
            table[-1] += f' {m["beside"]:.{digits}f} | {m["beside"] / m["seconds"]:.2f}x |'
        if 'cold' in m:
            table[-1] += f' {m["cold"]:.1f} |'
    return table


def machine(device: str) -> str:
    if device.startswith('cuda'):
        return torch.cuda.get_device_name()
    cpu = Path('/proc/cpuinfo')
    names = [
        line.split(':')[1].strip()
        for line in (cpu.read_text().splitlines() if cpu.exists() else ())
        if line.startswith('model name')
    ]
    instructions = [name for name in ('avx512f', *BFLOAT16_INSTRUCTIONS) if name in cpu_flags()]
    return (
        f'{torch.get_num_threads()} threads of {(names or [platform.processor()])[0]} '
        f'({", ".join(instructions) or "no AVX-512"})'
    )


def main():
    args = parse_args()
    table, rooflines, workers = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / 'network.pt'
        torch.save(random_weights(args.arch, args.device), weights)
        for task, batch_size in product(args.tasks, args.batch_size):
            workers = workers or start_workers(args)
            measured = measure(task, batch_size, args, weights, workers)
            if args.device == 'cpu':
                # Peak memory is that of a process.
                for worker in workers.values():
                    worker.stop()
                workers = {}
            rooflines.append(measured['roofline']['flops'])
            if len(args.batch_size) > 1:
                task = replace(task, name=f'{task.name}, batch {batch_size}')
            table += rows(task, measured, args)
    columns = ['', '', 'GMAC', 'seconds', 'speed-up', 'peak GB', 'of the first']
    columns += ['of the roofline']
    if args.neighbours:
        columns += [f'seconds beside {args.neighbours}', 'slow-down']
    if args.cold_start:
        columns += ['cold start, s']
    text = '\n'.join(
        [
            f'`python {shlex.join(sys.argv)}`, {date.today()}, {machine(args.device)}, PyTorch '
            f'{torch.__version__}: {args.arch}, {args.dtype}, batch '
            f'{", ".join(map(str, args.batch_size))} of '
            f'{args.size}x{args.size}, median of {args.rounds} rounds. Roofline (the fastest of '
            f'some plain convolutions and matrix products): {min(rooflines) / 1e9:.0f} to '
            f'{max(rooflines) / 1e9:.0f} GFLOP/s.',
            '',
            '| ' + ' | '.join(columns) + ' |',
            '|---' * len(columns) + '|',
            *table,
            '',
        ]
    )
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == '__main__':
    main()
