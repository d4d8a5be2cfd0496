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
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import torch
from benchmark_worker import Task, random_weights, serve

from mmdiff.diffusion import get_architecture

TASKS = {
    task.name: task
    for task in (
        Task('output'),
        Task('b=24', blocks=(24,)),
        Task('B={33,30,27,24}', blocks=(33, 30, 27, 24)),
        Task('DifFeed bottleneck, b=24', blocks=(24,), feedback='bottleneck'),
        Task('DifFeed windowed, b=24', blocks=(24,), feedback='windowed'),
        Task('DifFormer, T={90,150,300}, B={19,24,30}', (19, 24, 30), timesteps=(90, 150, 300)),
        Task('training, b=24', blocks=(24,), trained='U-Net'),
        Task('training with checkpointing, b=24', (24,), trained='U-Net', checkpointing=True),
        Task('training, DifFeed bottleneck, b=24', (24,), 'bottleneck', trained='feedback'),
    )
}
CONTENDERS = ('guided-diffusion', 'diffusers', 'mmdiff')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--arch', default='adm-256-uncond', help='default: %(default)s')
    parser.add_argument(
        '--size', type=positive, default=256, help='side in pixels, default: %(default)s'
    )
    parser.add_argument('--batch-size', type=positive, default=1, help='default: %(default)s')
    parser.add_argument('--rounds', type=positive, default=5, help='default: %(default)s')
    parser.add_argument(
        '--tasks',
        nargs='+',
        choices=TASKS,
        metavar='TASK',
        default=[name for name, task in TASKS.items() if task.trained is None],
        help=f'what to compute, of {"; ".join(TASKS)}; default: all but training',
    )
    parser.add_argument(
        '--contenders', nargs='+', choices=CONTENDERS, default=CONTENDERS, help='default: all'
    )
    parser.add_argument('--out', type=Path, help='Markdown file to write')
    args = parser.parse_args()
    arch = get_architecture(args.arch)
    if args.size % arch.total_stride:
        parser.error(f'--size must be a multiple of {arch.total_stride}, got {args.size}')
    for name in args.tasks:
        if max(TASKS[name].blocks, default=0) > arch.num_blocks:
            parser.error(f'--tasks {name!r}: {args.arch} has {arch.num_blocks} blocks')
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


def measure(task: Task, args, weights: Path, device: str) -> dict[str, dict[str, float]]:
    """Median seconds, MACs and peak memory of each contender, and the roofline's FLOP/s."""
    shape = (args.batch_size, 3, args.size, args.size)
    workers = {
        name: Worker(name, task, args.arch, weights, shape, device)
        for name in ('roofline', *args.contenders)
    }
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


def rows(task: Task, measured: dict[str, dict[str, float]]) -> list[str]:
    roofline = measured['roofline']['flops']
    contenders = {name: m for name, m in measured.items() if name != 'roofline'}
    first = next(iter(contenders.values()))
    return [
        f'| {task.name} | {name} | {m["macs"] / 1e9:.1f} | {m["seconds"]:.2f} | '
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
        for name in args.tasks:
            measured = measure(TASKS[name], args, weights, device)
            rooflines.append(measured['roofline']['flops'])
            table += rows(TASKS[name], measured)
    text = '\n'.join(
        [
            f'`python {shlex.join(sys.argv)}`, {date.today()}, {machine(device)}, PyTorch '
            f'{torch.__version__}: {args.arch}, float32, batch {args.batch_size} of '
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
