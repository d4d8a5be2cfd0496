"""Work out how much GPU memory the training of a segmentation config takes, without a GPU.

PyTorch's memory tracker follows a step in float32 on tensors that have shapes but no data. What
DDP adds and what FSDP divides follows from the sizes of the parameters.
"""

import argparse
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from mmdiff.engine.cli import load_config
from mmdiff.engine.fsdp import find_units

COLUMNS = (
    'weights',
    'gradients',
    "Adam's state",
    "DDP's buckets",
    'gathered by FSDP',
    'activations',
)

# Each has two averages of every weight.
ADAM = ('Adam', 'AdamW', 'FusedAdamW')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file of a segmentor that is trained with Adam')
    parser.add_argument('--gpus', type=int, nargs='+', default=[1, 4, 8], help='default: 1 4 8')
    args = parser.parse_args()
    if min(args.gpus) < 1:
        parser.error(f'--gpus must be at least 1, got {min(args.gpus)}')
    return args


def check(cfg: Config, config: str) -> None:
    optimizer = cfg.optim_wrapper.optimizer.type
    if cfg.get('default_scope') != 'mmseg' or optimizer.removeprefix('mmdiff.') not in ADAM:
        raise SystemExit(
            f'{config}: must be a config of MMSegmentation that trains with Adam or AdamW, got '
            f'default_scope={cfg.get("default_scope")!r}, optimizer {optimizer}'
        )
    if not cfg.model.data_preprocessor.get('size'):
        raise SystemExit(f'{config}: model.data_preprocessor must have the size of the crops')


def fill(model: nn.Module) -> None:
    """Give a model that was built on the meta device tensors of the current fake mode."""
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            data = torch.empty_strided(p.shape, p.stride(), dtype=p.dtype)
            module.register_parameter(name, nn.Parameter(data, p.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))


def norm_as_on_a_gpu(x, groups, weight, bias, eps, silu):
    h = F.group_norm(x, groups, weight, bias, eps)
    return F.silu(h) if silu else h


@contextmanager
def fake_tensors(model: nn.Module):
    """Let a segmentor run on tensors without data."""
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        # These depend on values. Of neither is anything kept for the backward.
        patch.object(model.backbone, 'noised', lambda x, timestep: x),
        patch('mmseg.models.decode_heads.decode_head.accuracy', lambda *args, **kwargs: 0),
        # Tensors without data are on the CPU.
        patch('mmdiff.diffusion.adm.norm._ChannelsLastGroupNorm.apply', norm_as_on_a_gpu),
    ):
        yield


def activation_bytes(model: nn.Module, batch_size: int, crop_size: tuple[int, int]) -> int:
    """What a forward and a backward take at their peak, without weights and their gradients."""
    from mmseg.structures import SegDataSample

    with fake_tensors(model):
        fill(model)
        model.train()
        images = torch.empty(batch_size, 3, *crop_size)
        labels = torch.empty(1, *crop_size, dtype=torch.long)
        samples = [SegDataSample(gt_sem_seg=PixelData(data=labels)) for _ in range(batch_size)]
        tracker = MemTracker()
        tracker.track_external(model)
        with tracker:
            losses = model(images, samples, mode='loss')
            sum(value.mean() for name, value in losses.items() if 'loss' in name).backward()
    (peak,) = tracker.get_tracker_snapshot('peak').values()
    return sum(peak[kind] for kind in peak if kind in ('Activation', 'Temp', 'Buffer'))


def weight_bytes(module: nn.Module) -> int:
    return 4 * sum(p.numel() for p in module.parameters())


def rows(model: nn.Module, activations: int, gpus: list[int]) -> list[tuple[str, list[float]]]:
    weights = gradients = weight_bytes(model)
    of_units = [weight_bytes(unit) for unit in find_units(model)]
    # The unit at work and the next one; the gradients of the one, of each parameter and of all in
    # one piece; and the rest throughout.
    gathered = 4 * max(of_units) + 2 * (weights - sum(of_units))
    table = []
    for n in gpus:
        if n == 1:
            table.append(('1 GPU', [weights, gradients, 2 * gradients, 0, 0, activations]))
            continue
        own = [weights, gradients, 2 * gradients, gradients, 0, activations]
        table.append((f'{n} GPUs, DDP', own))
        shared = [weights / n, gradients / n, 2 * gradients / n, 0, gathered, activations]
        table.append((f'{n} GPUs, FSDP', shared))
    return table


def main():
    args = parse_args()
    cfg = load_config(args.config)
    check(cfg, args.config)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    if frozen:
        raise SystemExit(
            f"{args.config}: PyTorch's memory tracker cannot follow a model that is frozen in "
            f'part, as this one is: {frozen[0]} and {len(frozen) - 1} more'
        )
    batch_size, crop_size = cfg.train_dataloader.batch_size, cfg.model.data_preprocessor.size
    activations = activation_bytes(model, batch_size, crop_size)
    print(
        f'GiB on each GPU, float32, {batch_size} crops of {crop_size[0]}x{crop_size[1]} on each:\n'
    )
    print('| | ' + ' | '.join(COLUMNS) + ' | sum |')
    print('|---' * (len(COLUMNS) + 2) + '|')
    for name, sizes in rows(model, activations, args.gpus):
        gib = [f'{size / 2**30:.2f}' if size else '' for size in (*sizes, sum(sizes))]
        print(f'| {name} | ' + ' | '.join(gib) + ' |')


if __name__ == '__main__':
    main()
