"""Learning rates of the configs, beside their closed forms."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from mmdiff.engine.resuming import replay

IMAGENET = 1281167


def rates(cfg, iterations):
    """The rate at each of some iterations, ascending, as a run of the config has it."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(optimizer=optimizer, **settings))
        for settings in cfg.param_scheduler
    ]
    done, found = 0, []
    for iteration in iterations:
        replay(schedulers, 0, iteration - done)
        done = iteration
        found.append(optimizer.param_groups[0]['lr'])
    return found


@pytest.mark.parametrize(
    ('name', 'peak', 'end'),
    [('upernet_gd_ade20k', 2e-5, 16000), ('upernet_gd-160k_ade20k', 1e-4, 160000)],
)
def test_poly_decay_counts_from_the_start_and_warm_up_multiplies_it(name, peak, end, root):
    """As MMCV 1's hooks, with which mae_segmentation trains."""
    iterations = (0, 750, 1500, 8000, 15000)
    expected = [peak * (1 - i / end) * min(1, 1 - (1 - i / 1500) * (1 - 1e-6)) for i in iterations]
    cfg = Config.fromfile(root / f'configs/{name}.py')
    # MMEngine's ramps end one iteration sooner.
    assert rates(cfg, iterations) == pytest.approx(expected, abs=1e-3 * peak)


@pytest.mark.parametrize(
    ('name', 'rate'),
    [
        ('linear_gd_in1k', 1e-3),
        ('attention_gd_in1k', 1e-4),
        ('released/linear_gd-released_in1k', 1e-2),
        ('released/difformer_gd-released_in1k', 5e-2),
    ],
)
def test_a_tenth_after_every_seventh_epoch(name, rate, root):
    epochs = (0, 3, 6.99, 7.01, 13.99, 14.01)
    iterations = [round(epoch * IMAGENET / 128) for epoch in epochs]
    expected = [rate * 0.1 ** (epoch // 7) for epoch in epochs]
    assert rates(Config.fromfile(root / f'configs/{name}.py'), iterations) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ('head', 'batch_size', 'rate'),
    [
        ('linear_gd-released', 32, 1e-2),
        ('attention_gd-released', 32, 5e-2),
        ('difformer_gd-released', 32, 5e-2),
        ('attention_diffeed-released', 4, 1e-2),
        ('linear_gd-released-finetuned', 4, 1e-3),
    ],
)
def test_released_recipes(head, batch_size, rate, root):
    cfg = Config.fromfile(root / f'configs/released/{head}_in1k.py')
    assert cfg.optim_wrapper == dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=rate))
    (scheduler,) = cfg.param_scheduler
    assert (scheduler.type, scheduler.gamma) == ('StepLR', 0.1)
    total = 4 * batch_size
    assert cfg.train_dataloader.batch_size * 4 == total == cfg.auto_scale_lr.base_batch_size
    assert scheduler.step_size == pytest.approx(7 * IMAGENET / total, abs=1)
    assert cfg.train_cfg.max_iters == pytest.approx(28 * IMAGENET / total, abs=2)
    assert (cfg.sync_bn is None) == ('diffeed' in head)
