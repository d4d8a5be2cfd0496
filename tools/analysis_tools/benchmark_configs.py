"""Count the images a second of configs side by side: what their backbone and neck take.

Models are built with random weights, prepared as tools/test.py does it, and take turns on images of
noise. Heads and data are left out. For a config of tools/distill.py, its teacher and its student
are two rows.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from benchmark_timing import default_turn, step_times
from mmengine.registry import MODELS, init_default_scope
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdiff.engine.cli import load_config
from mmdiff.models import DiffusionBackbone, FeatureDistillation
from mmdiff.utils import keep_freed_memory


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='config files')
    parser.add_argument('--size', type=int, default=256, help='side in pixels (default: 256)')
    parser.add_argument('--batch-size', type=int, default=1, help='default: 1')
    parser.add_argument('--rounds', type=int, default=5, help='default: 5')
    parser.add_argument(
        '--turn', type=float, metavar='SECONDS', help='of each round; default: 5, on a GPU 0.5'
    )
    return parser.parse_args()


def features_of(path: str) -> Iterator[tuple[str, nn.Module, Callable]]:
    """Names, the module that is prepared, and what gives the features."""
    cfg = load_config(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    name = Path(path).stem
    if isinstance(model, FeatureDistillation):
        yield f'{name}: teacher', model.teacher, model.teacher
        yield f'{name}: student', model.student, model.student
    else:
        yield name, model, model.extract_feat


def prepare(module: nn.Module) -> None:
    """As before a test."""
    for part in module.modules():
        if isinstance(part, DiffusionBackbone):
            part.prepare_for_inference()


@torch.no_grad()
def main():
    args = parse_args()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    keep_freed_memory()
    shape = (args.batch_size, 3, args.size, args.size)
    images = torch.rand(shape, device=device) * 2 - 1
    rows, counts = {}, {}
    for path in args.configs:
        for name, module, function in features_of(path):
            module.to(device).requires_grad_(False)
            # Not in a chain: a backbone of MMPretrain's returns nothing.
            module.eval()
            parameters = sum(p.numel() for p in getattr(module, 'backbone', module).parameters())
            with FlopCounterMode(display=False) as counter:
                function(images)
            counts[name] = (parameters, counter.get_total_flops() / 2 / args.batch_size)
            # It packs weights, which are no parameters then, and not counted.
            prepare(module)
            rows[name] = function
    times = {name: [] for name in rows}
    for _ in range(args.rounds):
        for name, function in rows.items():
            turn = args.turn or default_turn(device)
            times[name].append(
                statistics.median(step_times(lambda f=function: f(images), device, turn))
            )
    print('| | parameters of the backbone (M) | GMAC an image | images a second | |')
    print('|---|---|---|---|---|')
    first = None
    for name, taken in times.items():
        rate = args.batch_size / statistics.median(taken)
        first = first or rate
        parameters, macs = counts[name]
        print(
            f'| {name} | {parameters / 1e6:.1f} | {macs / 1e9:.2f} | {rate:.2f} '
            f'| {rate / first:.2f}x |'
        )


if __name__ == '__main__':
    main()
