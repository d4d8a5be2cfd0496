"""Runs whose losses or weights are no longer finite: they stop, and nothing of them is saved."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmdiff.engine import DivergedError, DivergenceHook
from mmdiff.engine.weights_only import load_run

ROOT = Path(__file__).parent.parent


def fake_run(tmp_path, amp=False):
    scaler = SimpleNamespace(is_enabled=lambda: True)
    wrapper = SimpleNamespace(loss_scaler=scaler) if amp else SimpleNamespace()
    model = nn.Linear(2, 2)
    return SimpleNamespace(optim_wrapper=wrapper, model=model, work_dir=str(tmp_path), iter=0)


def feed(hook, run, losses):
    for loss in losses:
        # An accuracy of nothing is no divergence.
        acc = torch.tensor(float('nan'))
        outputs = dict(loss=torch.tensor(loss), loss_mask=torch.tensor(1.0), acc_seg=acc)
        hook.after_train_iter(run, 0, outputs=outputs)
        run.iter += 1


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_the_iteration_and_the_loss_are_named(value, tmp_path):
    hook, run = DivergenceHook(interval=10), fake_run(tmp_path)
    feed(hook, run, [1.0] * 13 + [value] * 6)
    with pytest.raises(DivergedError, match=r'not finite since iteration 14 are loss\. Not'):
        feed(hook, run, [value])
    assert run.iter == 19


def test_the_checkpoint_that_is_left_is_named(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('iter_7.pth')
    with pytest.raises(DivergedError, match=r'iter_7\.pth is sound, and nothing was saved since'):
        feed(DivergenceHook(interval=1), fake_run(tmp_path), [float('nan')])


def test_skipped_steps_of_a_loss_scaler_are_no_divergence(tmp_path):
    hook, run = DivergenceHook(interval=1, patience=3), fake_run(tmp_path, amp=True)
    nan = float('nan')
    feed(hook, run, [1.0, nan, nan, 1.0, nan, 1.0, nan, nan])
    with pytest.raises(DivergedError, match='since iteration 7 '):
        feed(hook, run, [nan])
    with pytest.raises(DivergedError, match='since iteration 2 '):
        feed(DivergenceHook(interval=1), fake_run(tmp_path), [1.0, nan])


def test_losses_are_not_waited_for(tmp_path, monkeypatch):
    """What waits for a GPU is a tensor's value as a number: read every ``interval`` alone."""
    hook, run, reads = DivergenceHook(interval=10), fake_run(tmp_path), []
    for name in ('item', '__bool__', '__float__', 'tolist', 'cpu'):
        original = getattr(torch.Tensor, name)

        def count(self, *args, original=original):
            reads.append(run.iter)
            return original(self, *args)

        monkeypatch.setattr(torch.Tensor, name, count)
    feed(hook, run, [1.0] * 25)
    assert reads == [9, 19]


@pytest.mark.parametrize('name', ['state_dict', 'ema_state_dict'])
def test_weights_that_are_not_finite_are_not_saved(name, tmp_path):
    hook, run = DivergenceHook(), fake_run(tmp_path)
    weights = run.model.state_dict() | dict(count=torch.tensor(3))
    hook.before_save_checkpoint(run, {'state_dict': weights, name: weights})
    weights['bias'] = torch.tensor([1.0, torch.nan])
    with pytest.raises(DivergedError, match='not finite by iteration 0 are bias'):
        hook.before_save_checkpoint(run, {'state_dict': {}, name: weights})


def test_weights_that_are_not_finite_are_not_ranked(tmp_path):
    hook, run = DivergenceHook(), fake_run(tmp_path)
    hook.before_val(run)
    run.model.weight.data[0, 0] = torch.inf
    with pytest.raises(DivergedError, match='are weight'):
        hook.before_val(run)


def test_buffers_that_are_not_finite_by_design(tmp_path):
    hook, run = DivergenceHook(), fake_run(tmp_path)
    run.model.register_buffer('mask', torch.full((2,), -torch.inf))
    hook.before_train(run)
    hook.before_val(run)
    hook.before_save_checkpoint(run, dict(state_dict=run.model.state_dict()))
    run.model.register_buffer('mean', torch.full((2,), torch.nan))
    with pytest.raises(DivergedError, match='are mean'):
        hook.before_val(run)


@pytest.mark.parametrize('arguments', [dict(interval=0), dict(patience=0)])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match='must be an int of at least 1, got 0'):
        DivergenceHook(**arguments)


def test_every_kind_of_run_has_it():
    bases = sorted((ROOT / 'configs/_base_').glob('default_runtime*.py'))
    assert len(bases) >= 5
    for path in bases:
        assert Config.fromfile(path).default_hooks.divergence.type == 'mmdiff.DivergenceHook'


@pytest.mark.slow
@pytest.mark.parametrize('config', ['upernet_gd', 'pretrain_adm-64-small'])
def test_a_run_with_a_huge_rate_stops(config, digit_scenes, tmp_path, run):
    options = [
        'optim_wrapper.optimizer.lr=1e30', 'train_cfg.max_iters=30', 'train_cfg.val_interval=4',
        'default_hooks.checkpoint.interval=1', 'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False', 'train_dataloader.batch_size=2',
        'default_hooks.checkpoint.max_keep_ckpts=3',
    ]  # fmt: skip
    cfg = Config.fromfile(ROOT / f'configs/{config}_digit-scenes.py')
    for split in ('train', 'val'):
        data_root = cfg[f'{split}_dataloader'].dataset.data_root
        data_root = data_root.replace('data/digit_scenes', str(digit_scenes))
        options.append(f'{split}_dataloader.dataset.data_root={data_root}')
    tool = 'tools/pretrain.py' if config.startswith('pretrain') else 'tools/train.py'
    printed = run(
        'python', tool, f'configs/{config}_digit-scenes.py', '--work-dir', tmp_path,
        '--cfg-options', *options, fails=True,
    )  # fmt: skip
    assert re.search(
        r'DivergedError: the run has diverged: not finite (since|by) iteration', printed
    )
    for path in tmp_path.glob('*.pth'):
        weights = load_run(path)['state_dict']
        assert all(value.isfinite().all() for value in weights.values()), path
    assert not list(tmp_path.glob('best*'))
