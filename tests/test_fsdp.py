"""Training that shards the model over processes is training as ever."""

import shutil
from copy import deepcopy
from unittest.mock import Mock

import pytest
import torch
from mmengine.model import BaseModel
from PIL import Image
from test_families import backbone, images
from test_tools import ade20k, miou, schedule, small_ade20k  # noqa: F401
from torch import nn
from torch.distributed.fsdp import BackwardPrefetch, FullyShardedDataParallel

from mmdiff.diffusion import ARCHITECTURES, CheckpointError, UNet
from mmdiff.diffusion.dit import DiffusionTransformer, get_transformer_architecture
from mmdiff.diffusion.stable_diffusion import (
    StableDiffusionUNet,
    get_stable_diffusion_architecture,
)
from mmdiff.engine import fsdp
from mmdiff.engine.fsdp import FSDPStrategy, ShardedModel, find_units
from mmdiff.engine.weights_only import load_run
from mmdiff.torch_compat import can_shard_without_gpu

shards = pytest.mark.skipif(
    not torch.cuda.is_available() and not can_shard_without_gpu(),
    reason='FSDP of PyTorch 2.1 makes CUDA streams, also on a CPU',
)


def test_units_of_other_families():
    with torch.device('meta'):
        transformer = DiffusionTransformer(get_transformer_architecture('dit-s-2'), last_block=3)
        unet = StableDiffusionUNet(get_stable_diffusion_architecture('sd-1'), last_block=13)
    modulation = transformer.blocks[3].adaLN_modulation[1]
    assert modulation.weight.numel() < fsdp.MIN_LAYER_WEIGHTS
    assert find_units(transformer) == list(transformer.blocks())
    units = find_units(unet)
    assert {type(unit) for unit in units} == {nn.Conv2d, nn.Linear}
    share = sum(p.numel() for unit in units for p in unit.parameters())
    assert share > 0.9 * sum(p.numel() for p in unet.parameters())


@pytest.fixture
def process_group(monkeypatch):
    """A group of this process alone."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_units_are_blocks_and_large_layers(process_group):
    unet = UNet(ARCHITECTURES['adm-64-small'])
    attention = nn.MultiheadAttention(1024, 1)
    large, small = nn.Conv2d(256, 512, 3), nn.Conv2d(64, 64, 3)
    expected = [*unet.blocks(), large]
    model = nn.Sequential(unet, nn.Sequential(large, small, attention))
    sharded = ShardedModel(model, device_id=torch.device('cpu'))
    root, *units = FullyShardedDataParallel.fsdp_modules(sharded)
    assert root is sharded
    assert {unit.module for unit in units} == set(expected)
    with pytest.raises(TypeError, match='cannot be copied, as EMAHook does: remove the hook'):
        deepcopy(sharded)


class Predicts(BaseModel):
    """Notes how it is called."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1000, 1000)
        self.seen = []

    def forward(self, x, mode):
        # FSDP's forward, which would gather, is out of the way.
        self.seen.append((mode, 'forward' in vars(self.layer)))
        return self.layer(x)


@shards
def test_predictions_gather_nothing(process_group):
    sharded = ShardedModel(Predicts(), device_id=torch.device('cpu'))
    for step in (sharded.val_step, sharded.test_step):
        assert step(dict(x=torch.ones(1, 1000))).shape == (1, 1000)
        # Training has it again.
        units = FullyShardedDataParallel.fsdp_modules(sharded)
        assert not any('forward' in vars(unit) for unit in units)
    assert sharded.module.seen == [('predict', True)] * 2
    assert sharded.backward_prefetch is BackwardPrefetch.BACKWARD_PRE


@shards
def test_adapters_are_trained_in_units_with_frozen_weights(process_group):
    def gradients(model):
        sum(f.square().mean() for f in model(images())).backward()
        return {
            name.replace('_fsdp_wrapped_module.', ''): parameter.grad.flatten()
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }

    model = backbone('guided diffusion', lora=dict(rank=2), noise='fixed')
    expected = gradients(model)
    model.zero_grad()
    found = gradients(ShardedModel(model, device_id=torch.device('cpu')))
    assert found.keys() == expected.keys()
    assert all('.lora.' in name for name in found)
    for name, gradient in found.items():
        assert gradient.norm().item() == pytest.approx(expected[name].norm().item(), rel=1e-4)


@shards
def test_batch_norm_is_synchronised(process_group, tmp_path):
    strategy = FSDPStrategy(work_dir=str(tmp_path), sync_bn='torch')
    assert isinstance(strategy._wrap_model(nn.BatchNorm2d(3)).module, nn.SyncBatchNorm)


@shards
def test_weights_of_another_model(process_group, tmp_path, monkeypatch):
    """What fits is loaded, as for ``load_from`` without FSDP."""
    log = Mock()
    monkeypatch.setattr('mmdiff.engine.fsdp.print_log', log)
    strategy = FSDPStrategy(work_dir=str(tmp_path))
    strategy.model = strategy._wrap_model(nn.Sequential(nn.Conv2d(256, 512, 3), nn.Linear(2, 4)))
    other = nn.Sequential(nn.Conv2d(256, 512, 3), nn.Linear(2, 5), nn.Linear(2, 2)).state_dict()
    kept = strategy.model.state_dict()['1.weight'].clone()
    strategy.load_model_state_dict({f'module.{key}': value for key, value in other.items()})
    # Not without a word.
    assert 'does not fit the model; unexpected: 2.weight, 2.bias' in log.call_args.args[0]
    # On a GPU, if there is one.
    loaded = {key: value.cpu() for key, value in strategy.model.state_dict().items()}
    assert torch.equal(loaded['0.weight'], other['0.weight'])
    assert torch.equal(loaded['1.weight'], kept.cpu())
    message = r'unexpected: 2\.weight, 2\.bias; misshapen: 1\.weight \(checkpoint \(5, 2\)'
    with pytest.raises(CheckpointError, match=message):
        strategy.load_model_state_dict(other, strict=True)


@pytest.mark.slow
def test_training_memory(tmp_path, root, run):
    def table(with_cp):
        config = tmp_path / 'small.py'
        config.write_text(
            f"_base_ = '{root}/configs/upernet_gd-small_camvid.py'\n"
            f'model = dict(backbone=dict(with_cp={with_cp}))\n'
            'train_dataloader = dict(batch_size=64)\n'
        )
        printed = run('python', 'tools/analysis_tools/training_memory.py', config, '--gpus', 1, 2)
        rows = [line.split('|')[1:-1] for line in printed.splitlines() if line.startswith('| ')]
        return {
            name.strip(): [float(cell.strip() or 0) for cell in cells] for name, *cells in rows[1:]
        }

    small = table(with_cp=True)
    weights, gradients, adam, buckets, gathered, activations, whole = small['1 GPU']
    assert (buckets, gathered) == (0, 0)
    assert adam == pytest.approx(2 * weights, abs=0.02)
    assert small['2 GPUs, FSDP'][0] == pytest.approx(weights / 2, abs=0.02)
    assert small['2 GPUs, DDP'][3] == gradients
    for *parts, total in small.values():
        assert sum(parts) == pytest.approx(total, abs=0.05)
    assert table(with_cp=False)['1 GPU'][5] > 1.5 * activations
    assert whole > activations > weights

    printed = run(
        'python', 'tools/analysis_tools/training_memory.py', 'configs/mask-rcnn_gd_coco.py',
        fails=True,
    )  # fmt: skip
    assert 'must be a config of MMSegmentation' in printed


def test_where_it_cannot_run_it_is_refused(monkeypatch, tmp_path):
    with pytest.raises(RuntimeError, match=r'single process: start it with tools/dist_train\.sh'):
        FSDPStrategy(work_dir=str(tmp_path))
    monkeypatch.setattr('mmdiff.engine.fsdp.is_distributed', lambda: True)
    monkeypatch.setattr('mmdiff.engine.fsdp.get_device', lambda: 'cpu')
    monkeypatch.setattr('mmdiff.engine.fsdp.can_shard_without_gpu', lambda: False)
    with pytest.raises(RuntimeError, match=r'FSDP of PyTorch .* needs GPUs, .* train without FSDP'):
        FSDPStrategy(work_dir=str(tmp_path))


@shards
def test_what_does_not_work_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr('mmdiff.engine.fsdp.is_distributed', lambda: True)
    strategy = FSDPStrategy(work_dir=str(tmp_path))
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=1), clip_grad=dict(max_norm=1))
    with pytest.raises(ValueError, match='was written without FSDP'):
        # Plain SGD has no state.
        strategy.load_optim_state_dict(dict(state={}, param_groups=[dict(params=[0])]))
    with pytest.raises(ValueError, match=r"clip_grad=\{'max_norm': 1\} .* must be None"):
        strategy.build_optim_wrapper(optim_wrapper)


@pytest.fixture
def of_several_sizes(ade20k, tmp_path):  # noqa: F811
    """ADE20K whose validation images take 5 windows in one process, and 1 in the other."""
    root = shutil.copytree(ade20k, tmp_path / 'data')
    for path in root.glob('*/validation/*'):
        width = 120 if int(path.stem[-1]) % 2 else 60
        Image.open(path).resize((width, 60), Image.Resampling.NEAREST).save(path)
    return root


@shards
@pytest.mark.slow
def test_sharded_training_equals_training_and_resumes(of_several_sizes, tmp_path, run):
    """Two processes with FSDP, and two without."""

    def train(name, iterations):
        printed = run(
            'bash', 'tools/dist_train.sh', f'configs/{name}.py', 2, '--resume',
            '--work-dir', tmp_path / name,
            '--cfg-options', *small_ade20k(of_several_sizes), *schedule(iterations),
            'randomness.seed=0', 'model.test_cfg.stride=(16,16)',
            # It also trains after a validation.
            'train_cfg.val_interval=1',
            # It depends on shapes, which shards do not have.
            'optim_wrapper.paramwise_cfg.flat_decay_mult=0.5',
            'param_scheduler.0.end=2', 'param_scheduler.1.begin=2', 'param_scheduler.1.end=8',
            timeout=150,
        )  # fmt: skip
        return load_run(tmp_path / name / f'iter_{iterations}.pth'), miou(printed)

    for iterations in (2, 4):
        expected, score = train('upernet_gd_ade20k', iterations)
        checkpoint, score_of_sharded = train('upernet_gd-fsdp_ade20k', iterations)
        assert_equal_checkpoints(checkpoint, expected)
        assert score_of_sharded == score
    assert not list(tmp_path.rglob('*.partial'))

    printed = run(
        'python', 'tools/test.py', 'configs/upernet_gd-fsdp_ade20k.py',
        tmp_path / 'upernet_gd-fsdp_ade20k/iter_4.pth', '--work-dir', tmp_path / 'test',
        '--cfg-options', *small_ade20k(of_several_sizes),
    )  # fmt: skip
    assert 'mIoU' in printed


def assert_equal_checkpoints(checkpoint, expected):
    for key in ('epoch', 'iter'):
        assert checkpoint['meta'][key] == expected['meta'][key]
    assert list(checkpoint['state_dict']) == list(expected['state_dict'])
    for key, value in expected['state_dict'].items():
        torch.testing.assert_close(checkpoint['state_dict'][key], value, rtol=1e-5, atol=1e-7)
    ours, theirs = checkpoint['optimizer'], expected['optimizer']
    assert ours['base_param_settings'] == theirs['base_param_settings']
    assert len(ours['state']) == len(theirs['state']) > 0
    for our_group, their_group in zip(ours['param_groups'], theirs['param_groups'], strict=True):
        assert our_group['lr'] == their_group['lr']
        assert our_group['weight_decay'] == their_group['weight_decay']
        for name, number in zip(our_group['params'], their_group['params'], strict=True):
            ours_of_one, theirs_of_one = ours['state'][name], theirs['state'][number]
            for key in ('exp_avg', 'exp_avg_sq'):
                torch.testing.assert_close(
                    ours_of_one[key], theirs_of_one[key], rtol=1e-4, atol=1e-8
                )
