"""Draw time and memory of mmdiff's features over image size, batch, timesteps and processes.

Each point is a new process, on random weights; the points of a figure take turns. Writes
OUT/scaling.csv, and a figure for each of what is varied.
"""

import argparse
import csv
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmark_contenders import DTYPES, Task, architecture, random_weights
from benchmark_features import Contender
from benchmark_timing import default_turn
from benchmark_worker import Worker

from mmdiff.visualization import draw_curves


@dataclass(frozen=True)
class Point:
    """What is computed.

    Attributes:
        size (int): Side of the images in pixels.
        batch (int): Images of a process.
        timesteps (int): How many.
        processes (int): How many compute at the same time, each its own
            images, with an equal part of the threads.
    """

    size: int = 256
    batch: int = 1
    timesteps: int = 1
    processes: int = 1


POINTS = {
    'size': [128, 256, 384, 512, 768, 1024],
    'batch': [1, 2, 4, 8, 16],
    'timesteps': [1, 2, 3, 4],
    'processes': [1, 2],
}
# As the paper's figures have them.
FIRST_TIMESTEP, TIMESTEP_STEP = 90, 100


class ThreadedContender(Contender):
    """A contender with its part of the threads.

    Args:
        device (str): Where it runs.
        part (int): Of how many.
    """

    def __init__(self, device: str, part: int):
        super().__init__('mmdiff', device)
        torch.set_num_threads(max(1, torch.get_num_threads() // part))


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('--vary', nargs='+', choices=POINTS, default=list(POINTS))
    parser.add_argument('--arch', default='adm-256-uncond', help='default: %(default)s')
    parser.add_argument('--block', type=int, default=24, help='default: %(default)s')
    parser.add_argument('--dtype', choices=DTYPES, default='float32', help='default: %(default)s')
    parser.add_argument(
        '--most',
        type=int,
        nargs='+',
        metavar='N',
        help='the largest value of each of --vary; default: '
        + ', '.join(f'{name} {max(values)}' for name, values in POINTS.items()),
    )
    parser.add_argument('--turn', type=float, metavar='SECONDS', help='of a point at least')
    args = parser.parse_args()
    if args.most and len(args.most) != len(args.vary):
        parser.error(f'--most must have {len(args.vary)} numbers, as --vary has, got {args.most}')
    return args


def measure(point: Point, args, weights: Path, device: str) -> tuple[float, float]:
    """Images a second, of all processes together, and peak memory of all, in GB."""
    arch = architecture(args.arch)
    timesteps = tuple(FIRST_TIMESTEP + TIMESTEP_STEP * n for n in range(point.timesteps))
    task = Task('scaling', (args.block,), timesteps=timesteps, dtype=args.dtype)
    side = point.size // arch.input.stride
    shape = (point.batch, arch.input.channels, side, side)
    workers = [Worker(ThreadedContender, device, point.processes) for _ in range(point.processes)]
    for worker in workers:
        worker.ask('build', args.arch, weights, task, shape)
        worker.ask('features')
    for worker in workers:
        # All at once.
        worker.connection.send(('seconds', (args.turn or default_turn(device),)))
    seconds = [statistics.median(worker.connection.recv()) for worker in workers]
    memory = sum(worker.ask('memory') for worker in workers)
    for worker in workers:
        worker.stop()
    return sum(point.batch / s for s in seconds), memory / 1e9


def main():
    args = parse_args()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / 'network.pt'
        torch.save(random_weights(args.arch, device), weights)
        for number, name in enumerate(args.vary):
            most = args.most[number] if args.most else max(POINTS[name])
            found = []
            for value in POINTS[name]:
                if value > most:
                    continue
                rate, memory = measure(Point(**{name: value}), args, weights, device)
                found.append((value, 1 / rate, memory))
                rows.append((name, value, f'{1 / rate:.4f}', f'{memory:.2f}'))
                print(f'{name} {value}: {1 / rate:.3f} s an image, {memory:.2f} GB', flush=True)
            draw_curves(
                args.out / f'{name}.png',
                {
                    'seconds an image': {name: [row[:2] for row in found]},
                    'peak memory, GB': {name: [row[::2] for row in found]},
                },
                x_label=name,
            )
    with (args.out / 'scaling.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['varied', 'value', 'seconds_an_image', 'peak_gb'])
        writer.writerows(rows)
    print(f'Wrote {args.out}/scaling.csv and a figure of each')


if __name__ == '__main__':
    main()
