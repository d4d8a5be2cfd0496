"""Train a segmentor for some steps on one fixed batch, alone or as several processes.

Usage: [python | torchrun --nproc_per_node=2] data_parallel_losses.py CONFIG [KEY=VALUE ...]

Keys are arguments of the backbone, or, as neck.KEY, of the neck. Each process takes its part of the
batch. Prints the mean losses and the sum of all weights.
"""

import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, init_default_scope

from mmdiff.engine import leave_cpu_distributed

ROOT = Path(__file__).parent.parent
BATCH_SIZE, STEPS = 4, 4


def build(config, settings):
    cfg = Config.fromfile(ROOT / 'configs' / config)
    init_default_scope(cfg.default_scope)
    for key, value in settings.items():
        part, _, name = key.rpartition('.')
        cfg.model[part or 'backbone'][name] = value
    if cfg.model.backbone.get('noise') != 'none':
        cfg.model.backbone.noise = 'fixed'
    for head in (cfg.model.decode_head, cfg.model.auxiliary_head):
        # Batch norm and dropout differ between a whole batch and its parts.
        head.update(norm_cfg=dict(type='GN', num_groups=8), dropout_ratio=0.0)
    if 'DifFeed' in cfg.model.backbone.type:
        cfg.model.backbone.norm_cfg = dict(type='GN', num_groups=8)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def _parse(setting):
    key, value = setting.split('=')
    return key, True if value == 'True' else value


def batch():
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (BATCH_SIZE, 3, 64, 64), generator=generator, dtype=torch.uint8)
    labels = torch.randint(11, (BATCH_SIZE, 1, 64, 64), generator=generator)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    mine = slice(get_rank(), None, get_world_size())
    return dict(inputs=list(images[mine]), data_samples=samples[mine])


def main():
    config, *settings = sys.argv[1:]
    torch.set_num_threads(1)
    distributed = torch.distributed.is_torchelastic_launched()
    if distributed:
        torch.distributed.init_process_group('gloo')
    model = build(config, dict(_parse(setting) for setting in settings))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    wrapper = OptimWrapper(optimizer)
    model = MMDistributedDataParallel(model) if distributed else model
    model.train()
    for _ in range(STEPS):
        losses = model.train_step(batch(), wrapper)
        loss = losses['loss'].detach().clone()
        all_reduce(loss, 'mean')
        if get_rank() == 0:
            print(f'loss {loss.item():.9f}')
    if get_rank() == 0:
        print(f'weights {sum(p.double().abs().sum() for p in model.parameters()).item():.9f}')
    leave_cpu_distributed()


if __name__ == '__main__':
    main()
