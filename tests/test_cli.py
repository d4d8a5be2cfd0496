"""What the command lines check before anything is built."""

from argparse import ArgumentParser

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.datasets import CIFAR10
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map_only

from mmdiff.diffusion import CheckpointError
from mmdiff.engine import init_cpu_distributed
from mmdiff.engine.cli import (
    add_run_arguments,
    add_training_arguments,
    check_data,
    load_run_config,
    load_training_config,
    open_checkpoint,
)
from mmdiff.engine.weights_only import check_run_fits, load_run
from mmdiff.registry import OPTIMIZERS
from mmdiff.torch_compat import has_custom_operators


@pytest.fixture
def arguments(root):
    """Parse the command line of a training run."""

    def parse(*options):
        parser = ArgumentParser()
        add_run_arguments(parser)
        add_training_arguments(parser)
        return parser.parse_args([str(root / 'configs/upernet_gd_ade20k.py'), *options])

    return parse


def test_work_dir(arguments):
    for options, expected in (
        ((), 'work_dirs/upernet_gd_ade20k'),
        (('--cfg-options', 'work_dir=a'), 'a'),
        (('--work-dir', 'b', '--cfg-options', 'work_dir=a'), 'b'),
    ):
        assert load_run_config(arguments(*options)).work_dir == expected


def test_amp_and_resume(arguments, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    cfg = load_training_config(arguments('--amp', '--resume', 'a.pth'))
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    assert (cfg.resume, cfg.load_from) == (True, 'a.pth')
    cfg = load_training_config(arguments('--cfg-options', 'load_from=b.pth'))
    assert cfg.optim_wrapper.type == 'OptimWrapper'
    assert (cfg.resume, cfg.load_from) == (False, 'b.pth')


@pytest.mark.parametrize('options', [('--resume',), ('--cfg-options', 'resume=True')])
def test_resume_from_what_is_latest(options, arguments, tmp_path):
    options = ('--work-dir', str(tmp_path), *options)
    cfg = load_training_config(arguments(*options))
    assert (cfg.resume, cfg.load_from) == (False, None)
    (tmp_path / 'iter_5.pth').touch()
    (tmp_path / 'last_checkpoint').write_text('/where/it/was/iter_5.pth')
    cfg = load_training_config(arguments(*options))
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'iter_5.pth'))


def test_bfloat16_implies_amp_and_scales_no_loss(arguments, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    wrapper = load_training_config(arguments('--amp-dtype', 'bfloat16')).optim_wrapper
    assert wrapper.type == 'AmpOptimWrapper'
    assert wrapper.dtype == 'bfloat16'
    assert wrapper.loss_scale == dict(enabled=False)
    assert 'dtype' not in load_training_config(arguments('--amp-dtype', 'float16')).optim_wrapper


def test_the_optimizer_is_fused_on_a_gpu_alone():
    """And is AdamW everywhere."""
    layer = nn.Linear(2, 2)
    optimizer = build_optim_wrapper(
        layer, dict(optimizer=dict(type='mmdiff.FusedAdamW', lr=0.5, weight_decay=0.1))
    ).optimizer
    theirs = torch.optim.AdamW(layer.parameters(), lr=0.5, weight_decay=0.1)
    assert optimizer.defaults == theirs.defaults
    assert optimizer.defaults['fused'] is None
    if not has_custom_operators():
        pytest.skip('older PyTorch makes no fake parameter of a GPU without one')
    with FakeTensorMode():
        weights = [nn.Parameter(torch.empty(2, device='cuda'))]
        assert OPTIMIZERS.build(dict(type='mmdiff.FusedAdamW', params=weights)).defaults['fused']
        with pytest.raises(TypeError, match='learning_rate'):
            OPTIMIZERS.build(dict(type='mmdiff.FusedAdamW', params=weights, learning_rate=1))


@pytest.mark.skipif(not has_custom_operators(), reason='needs fake parameters of a GPU')
@pytest.mark.parametrize(('before', 'after'), [('cpu', 'cuda'), ('cuda', 'cpu')])
def test_a_run_that_goes_on_elsewhere_is_fused_if_it_is_on_a_gpu(before, after):
    with FakeTensorMode():
        weights, optimizers = {}, {}
        for device in (before, after):
            weights[device] = nn.Parameter(torch.empty(2, device=device))
            optimizers[device] = OPTIMIZERS.build(
                dict(type='mmdiff.FusedAdamW', params=[weights[device]], lr=0.5)
            )
        weights[before].grad = torch.empty_like(weights[before])
        optimizers[before].step()
        # As load_checkpoint's map_location.
        state = tree_map_only(torch.Tensor, lambda t: t.to(after), optimizers[before].state_dict())
        optimizers[after].load_state_dict(state)
    fused = optimizers[after].param_groups[0]['fused']
    assert fused == (True if after == 'cuda' else None)
    of_weight = optimizers[after].state[weights[after]]
    assert {value.device.type for value in of_weight.values()} == {after}


def test_folders_of_data_sets(tmp_path):
    there, missing = (
        dict(type='CustomDataset', data_root=str(tmp_path / name)) for name in ('.', 'no')
    )

    def check(dataset, **kwargs):
        scope = dict(default_scope='mmpretrain')
        check_data(Config(dict(val_dataloader=dict(dataset=dataset), **scope, **kwargs)), 'val')

    check_data(Config(), 'val')
    check_data(Config(dict(val_dataloader=None)), 'val')
    check(there)
    check(dict(type='RepeatDataset', dataset=there))
    check(there | dict(data_root='s3://bucket/ade'))
    check(missing | dict(backend_args=dict(backend='petrel')))
    check(missing | dict(type='CIFAR10'))  # It downloads itself.
    check(missing | dict(type=CIFAR10))
    for dataset, key in (
        (missing, 'dataset'),
        (missing | dict(backend_args=dict(backend='local')), 'dataset'),
        (missing | dict(type='CIFAR10', download=False), 'dataset'),
        (missing | dict(type='NoSuchDataset'), 'dataset'),
        (dict(type='RepeatDataset', dataset=missing), 'dataset.dataset'),
        (dict(type='ConcatDataset', datasets=[there, missing]), 'dataset.datasets.1'),
    ):
        message = rf'^val_dataloader\.{key}\.data_root: there is no folder .*no\. .*=FOLDER \('
        with pytest.raises(SystemExit, match=message):
            check(dataset)
    with pytest.raises(SystemExit, match=r'=FOLDER val_evaluator\.ann_file=FILE \('):
        check(missing, val_evaluator=dict(type='CocoMetric', ann_file='a.json'))


def test_checkpoints(tmp_path):
    path = tmp_path / 'run.pth'
    for content, message in (
        (b'', 'is empty'),
        (b'no weights', 'truncated, or is not a file'),
    ):
        path.write_bytes(content)
        with pytest.raises(SystemExit, match=f'^checkpoint: .*{message}'):
            open_checkpoint(str(path))
    with pytest.raises(SystemExit, match=r'^checkpoint: checkpoint file .* does not exist'):
        open_checkpoint(str(tmp_path / 'no.pth'))
    with pytest.raises(SystemExit, match=r'^checkpoint: .* got open-mmlab://resnet'):
        open_checkpoint('open-mmlab://resnet')
    torch.save(dict(state_dict=dict(weight=torch.ones(1))), path)
    assert open_checkpoint(str(path)) == (str(path), dict(weight=torch.ones(1)))


def test_the_weights_that_are_checked_are_those_that_are_loaded(tmp_path):
    """In files that no run of MMEngine's wrote."""
    weights, path = nn.Linear(3, 2).state_dict(), tmp_path / 'weights'
    save = pytest.importorskip('safetensors.torch').save_file
    for write in (
        lambda: torch.save(dict(model=weights, epoch=1), path),
        lambda: torch.save(weights, path),
        lambda: save(weights, path),
    ):
        write()
        _, checked = open_checkpoint(str(path))
        loaded = load_run(path)['state_dict']
        assert checked.keys() == loaded.keys() == weights.keys()
        assert all(torch.equal(loaded[key], value) for key, value in checked.items())


class Resizes(nn.Linear):
    """Changes what it loads, as vision transformers do with position embeddings."""

    def _load_from_state_dict(self, state_dict, prefix, *args):
        state_dict[prefix + 'weight'] = state_dict[prefix + 'weight'][:2]
        super()._load_from_state_dict(state_dict, prefix, *args)


class Computes(nn.Linear):
    """Does not take its bias from a checkpoint."""

    def _load_from_state_dict(self, state_dict, prefix, *args):
        del state_dict[prefix + 'bias']
        super()._load_from_state_dict(state_dict, prefix, *args)


def test_checkpoints_of_other_models():
    model = nn.Linear(3, 2)
    weights = nn.Linear(3, 2).state_dict()
    check_run_fits(model, weights, 'a.pth')
    # As PyTorch's DistributedDataParallel names them.
    check_run_fits(model, {f'module.{key}': value for key, value in weights.items()}, 'a.pth')
    larger = nn.Linear(3, 4).state_dict() | dict(bias=weights['bias'])
    check_run_fits(Resizes(3, 2), larger, 'a.pth')
    # As Swin Transformer V2, which drops what it computes itself, so that it is missing.
    check_run_fits(Computes(3, 2), Computes(3, 2).state_dict(), 'a.pth')
    for other, message in (
        (larger, r'misshapen: weight \(checkpoint \(4, 3\)'),
        (dict(weight=weights['weight']), 'missing: bias'),
        (weights | dict(scale=weights['bias']), 'unexpected: scale'),
    ):
        with pytest.raises(
            CheckpointError, match=f"a.pth does not fit the config's model; {message}"
        ):
            check_run_fits(model, other, 'a.pth')
    lightning = {f'model.{key}': value for key, value in weights.items()}
    with pytest.raises(
        CheckpointError, match=r"2 weights fit with '' in place of 'model\.': torch"
    ):
        check_run_fits(model, lightning, 'a.pth')


def test_settings_of_a_distributed_run_are_kept_on_a_cpu(monkeypatch):
    monkeypatch.setattr('torch.distributed.init_process_group', lambda backend: None)
    cfg = Config(dict(sync_bn='torch', find_unused_parameters=True))
    init_cpu_distributed(cfg)
    assert cfg.sync_bn is None
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=True,
    )
    wrapper = dict(type='MMSeparateDistributedDataParallel', device_ids=[0])
    cfg = Config(dict(model_wrapper_cfg=wrapper))
    init_cpu_distributed(cfg)
    assert cfg.model_wrapper_cfg.type == 'MMSeparateDistributedDataParallel'
    assert cfg.model_wrapper_cfg.device_ids is None
