"""Time and count what DifFeed's strategies cost, beside two passes over the whole U-Net.

All contenders have the same weights and input, and take turns in one run. Needs
`pip install -r requirements/bench.txt`.
"""

import argparse
import platform
import shlex
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter

import torch
from guided_diffusion.unet import UNetModel
from mmengine.device import get_device
from torch.utils.flop_counter import FlopCounterMode

from mmdiff.diffusion import Architecture, get_architecture
from mmdiff.models import DifFeedBackbone
from mmdiff.models.backbones import FeedbackNetwork

STRATEGIES = ('all', 'bottleneck', 'windowed', 'multi-scale')
TIMESTEP = 90


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--arch', default='adm-256-uncond', help='default: %(default)s')
    parser.add_argument(
        '--size', type=positive, default=256, help='side in pixels, default: %(default)s'
    )
    parser.add_argument('--batch-size', type=positive, default=1, help='default: %(default)s')
    parser.add_argument('--rounds', type=positive, default=5, help='default: %(default)s')
    parser.add_argument(
        '--blocks',
        type=lambda text: tuple(int(number) for number in text.split(',')),
        nargs='+',
        default=[(24,), (33, 30, 27, 24)],
        help='sets of blocks whose features are asked for, e.g. 24 33,30,27,24 (the default)',
    )
    parser.add_argument('--out', type=Path, help='Markdown file to write')
    args = parser.parse_args()
    stride = get_architecture(args.arch).total_stride
    if args.size % stride:
        parser.error(f'--size must be a multiple of {stride}, got {args.size}')
    return args


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number


def guided_diffusion_unet(arch: Architecture) -> UNetModel:
    """The U-Net of guided-diffusion, as its authors run it."""
    return UNetModel(
        image_size=arch.image_size,
        in_channels=3,
        model_channels=arch.model_channels,
        out_channels=6 if arch.learn_sigma else 3,
        num_res_blocks=arch.num_res_blocks,
        attention_resolutions=[arch.image_size // size for size in arch.attention_resolutions],
        channel_mult=arch.channel_mult,
        num_heads=arch.num_heads,
        num_head_channels=arch.num_head_channels or -1,
        use_scale_shift_norm=arch.use_scale_shift_norm,
        resblock_updown=arch.resblock_updown,
        use_new_attention_order=arch.use_new_attention_order,
    ).eval()


def two_full_passes(unet: UNetModel) -> Callable:
    def run(x):
        timesteps = torch.full((len(x),), TIMESTEP, device=x.device)
        unet(x, timesteps)
        return unet(x, timesteps)

    return run


def diffeed(unet: UNetModel, strategy: str, blocks: Sequence[int], arch: Architecture) -> Callable:
    """DifFeed on the very tensors of ``unet``."""
    with torch.device('meta'):
        model = DifFeedBackbone(
            arch, feedback=strategy, timestep=TIMESTEP, blocks=blocks, eval_noise='none'
        )
    weights = unet.state_dict()
    model.unet.load_state_dict({key: weights[key] for key in model.unet.state_dict()}, assign=True)
    with torch.device(next(unet.parameters()).device):
        model.feedback = FeedbackNetwork(arch, model.feedback_targets, dict(type='BN'))
    return model.eval()


def contenders(unet: UNetModel, arch: Architecture, block_sets) -> dict[str, Callable]:
    return {'two full passes, guided-diffusion': two_full_passes(unet)} | {
        f'{strategy}, B={{{", ".join(map(str, blocks))}}}': diffeed(unet, strategy, blocks, arch)
        for blocks in block_sets
        for strategy in STRATEGIES
    }


def count_macs(forward: Callable, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        forward(x)
    return counter.get_total_flops() // 2


def time(forward: Callable, x: torch.Tensor) -> float:
    wait = torch.cuda.synchronize if x.is_cuda else lambda: None
    wait()
    start = perf_counter()
    forward(x)
    wait()
    return perf_counter() - start


def median_seconds(forwards: dict[str, Callable], x: torch.Tensor, rounds: int) -> dict[str, float]:
    seconds = {name: [] for name in forwards}
    # The first round warms up.
    for number in range(rounds + 1):
        for name, forward in forwards.items():
            taken = time(forward, x)
            if number:
                seconds[name].append(taken)
            print(f'round {number}, {name}: {taken:.2f} s', file=sys.stderr)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


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


@torch.no_grad()
def main():
    args = parse_args()
    # guided-diffusion insists on a class where there are classes; nothing else depends on it.
    arch = replace(get_architecture(args.arch), num_classes=None)
    shape = (args.batch_size, 3, args.size, args.size)
    with torch.device('meta'):
        unet = guided_diffusion_unet(arch)
        forwards = contenders(unet, arch, args.blocks)
        macs = {name: count_macs(f, torch.empty(shape)) for name, f in forwards.items()}
    device = get_device()
    torch.manual_seed(0)
    unet = guided_diffusion_unet(arch).to(device)
    x = torch.rand(shape, device=device) * 2 - 1
    seconds = median_seconds(contenders(unet, arch, args.blocks), x, args.rounds)

    baseline = next(iter(seconds))
    lines = [
        f'`python {shlex.join(sys.argv)}`, {date.today()}, {machine(device)}, PyTorch '
        f'{torch.__version__}: {args.arch}, float32, no gradient, batch {args.batch_size} of '
        f'{args.size}x{args.size}, median of {args.rounds} rounds.',
        '',
        '| | GMAC | share | seconds | speed-up |',
        '|---|---|---|---|---|',
    ]
    for name in seconds:
        lines.append(
            f'| {name} | {macs[name] / 1e9:.1f} | {macs[name] / macs[baseline]:.1%} | '
            f'{seconds[name]:.2f} | {seconds[baseline] / seconds[name]:.2f}x |'
        )
    table = '\n'.join(lines) + '\n'
    print(table)
    if args.out:
        args.out.write_text(table)


if __name__ == '__main__':
    main()
