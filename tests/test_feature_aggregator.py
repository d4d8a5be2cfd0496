"""FeatureAggregator: the gate over timesteps and blocks, and what it has learned as a picture."""

import runpy
import sys

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from PIL import Image

from mmdiff.analysis import read_gates
from mmdiff.diffusion import CheckpointError
from mmdiff.models import FeatureAggregator

BLOCKS = dict(in_channels=(4, 6), in_strides=(2, 8))


def aggregator(**kwargs):
    torch.manual_seed(0)
    settings = dict(num_timesteps=2, out_channels=5, out_strides=(4, 16)) | BLOCKS | kwargs
    neck = FeatureAggregator(**settings)
    for conv in getattr(neck, 'gate_convs', ()):
        torch.nn.init.normal_(conv.weight)
    return neck


def features(n=2, height=32, width=48, timesteps=2):
    generator = torch.Generator().manual_seed(1)
    return [
        [
            torch.randn(n, channels, -(-height // stride), -(-width // stride), generator=generator)
            for channels, stride in zip(*BLOCKS.values(), strict=True)
        ]
        for _ in range(timesteps)
    ]


def entry(neck, timesteps, t, b):
    """A feature after its norm and its block's convolution, at the levels' sizes."""
    height, width = (side * 2 for side in timesteps[0][0].shape[-2:])
    convolved = neck.convs[b](neck.norms[t][b](timesteps[t][b]))
    sizes = [(-(-height // s), -(-width // s)) for s in neck.out_strides]
    return [F.interpolate(convolved, size, mode='bilinear') for size in sizes]


def same(levels, expected):
    for level, other in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('spatial_gate', [False, True])
@pytest.mark.parametrize(('t', 'b'), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_gate_of_one_entry_is_that_entry(t, b, spatial_gate):
    neck = aggregator(spatial_gate=spatial_gate).eval()
    neck.gate_logits.data[t, b] = 1000.0
    with torch.no_grad():
        same(neck(features()), entry(neck, features(), t, b))
        assert neck.gates()[t, b] == 1


def test_the_gate_weighs_all_entries():
    neck = aggregator().eval()
    neck.gate_logits.data.normal_()
    weights = neck.gate_logits.exp() / neck.gate_logits.exp().sum()
    with torch.no_grad():
        each = [
            [weights[t, b] * level for level in entry(neck, features(), t, b)]
            for t in (0, 1)
            for b in (0, 1)
        ]
        same(neck(features()), [sum(levels) for levels in zip(*each, strict=True)])


def test_a_gate_that_varies_over_the_image():
    neck = aggregator(spatial_gate=True, norm_cfg=dict(type='GN', num_groups=1), out_strides=(8,))
    (level,) = neck(features())
    for n, y, x in [(0, 0, 0), (1, 3, 5)]:
        found = [entry(neck, features(), t, b)[0][n, :, y, x] for t in (0, 1) for b in (0, 1)]
        logits = [
            neck.gate_convs[i % 2].weight.flatten() @ value + neck.gate_logits.flatten()[i]
            for i, value in enumerate(found)
        ]
        weights = torch.stack(logits).softmax(0)
        torch.testing.assert_close(level[n, :, y, x], weights @ torch.stack(found))
    before = neck.mean_gates.clone()
    for _ in range(600):
        neck(features())
    # What it has been of late, for all of the image.
    assert neck.mean_gates.sum() == pytest.approx(1)
    assert (neck.mean_gates - before).abs().max() > 0.01
    settled = neck.mean_gates.clone()
    neck.eval()(features())
    assert torch.equal(neck.mean_gates, settled)


@pytest.mark.parametrize('spatial_gate', [False, True])
@pytest.mark.parametrize('size', [(32, 48), (50, 70), (33, 17)])
def test_levels_of_images_of_any_size(size, spatial_gate):
    neck = aggregator(spatial_gate=spatial_gate, out_strides=(2, 4, 16), pooled_level=True)
    levels = neck(features(2, *size))
    sizes = [tuple(level.shape[-2:]) for level in levels]
    assert sizes[:3] == [(-(-size[0] // s), -(-size[1] // s)) for s in (2, 4, 16)]
    assert sizes[3] == tuple(-(-side // 2) for side in sizes[2])


@pytest.mark.parametrize('spatial_gate', [False, True])
def test_all_weights_get_gradients(spatial_gate):
    neck = aggregator(spatial_gate=spatial_gate, level_convs=True, level_norm_cfg=dict(type='BN'))
    sum(level.square().mean() for level in neck(features())).backward()
    assert all(p.grad is not None for p in neck.parameters())
    assert neck.gate_logits.grad.all()


def test_timesteps_share_the_convolutions_and_not_the_norms():
    names = [name for name, _ in aggregator().named_parameters()]
    assert sum(name.startswith('convs.') for name in names) == 2
    assert sum(name.startswith('norms.') and name.endswith('weight') for name in names) == 4


def test_neck_of_a_classifier():
    """Of maps of one timestep too, as those of blocks with their own."""
    pytest.importorskip('mmpretrain')
    from mmdiff.classification import LinearHead

    init_default_scope('mmpretrain')
    neck = aggregator(num_timesteps=1, out_strides=(8,))
    head = LinearHead(num_classes=3, in_channels=5, pool_size=2)
    assert head(neck(features(timesteps=1)[0])).shape == (2, 3)
    same(neck(features(timesteps=1)), neck(features(timesteps=1)[0]))


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        (dict(in_strides=(2,)), ValueError, 'must name the same features'),
        (dict(in_channels=(), in_strides=()), ValueError, 'must name the same features'),
        (dict(num_timesteps=0), ValueError, 'num_timesteps must be an int of at least 1'),
        (dict(out_strides=()), ValueError, 'out_strides must name at least one level'),
        (dict(spatial_gate=1), TypeError, 'spatial_gate must be True or False'),
        (dict(norm_cfg='BN'), TypeError, "norm_cfg must be a dict with a 'type'"),
        (dict(level_norm_cfg=dict(type='BN')), ValueError, 'is for level_convs, but'),
    ],
)
def test_bad_arguments(kwargs, error, message):
    with pytest.raises(error, match=message):
        aggregator(**kwargs)


def test_features_of_another_backbone():
    with pytest.raises(ValueError, match='features are of 1 timesteps, but num_timesteps=2'):
        aggregator()(features(timesteps=1)[0])
    with pytest.raises(ValueError, match=r'have \(4,\) channels, but in_channels=\(4, 6\)'):
        aggregator()([maps[:1] for maps in features()])
    with pytest.raises(ValueError, match='which no image has'):
        aggregator()([[maps[0][..., :4], maps[1]] for maps in features()])


CONFIG = """
default_scope = 'mmengine'
model = dict(
    backbone=dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-64-small',
        timestep={timestep},
        blocks=(12, 9),
    )
)
"""


def test_the_weights_as_a_picture(root, tmp_path, monkeypatch, capsys):
    neck = aggregator()
    neck.gate_logits.data[1, 0] = 1.5
    checkpoint, config, out = (tmp_path / name for name in ('run.pth', 'config.py', 'gates.png'))
    torch.save({'state_dict': {f'neck.{k}': v for k, v in neck.state_dict().items()}}, checkpoint)
    config.write_text(CONFIG.format(timestep=(90, 300)))
    monkeypatch.setattr(sys, 'argv', ['gate_weights.py', *map(str, (config, checkpoint, out))])
    runpy.run_path(str(root / 'tools/analysis_tools/gate_weights.py'), run_name='__main__')
    # exp(1.5) / (exp(1.5) + 3).
    assert 'Most: 59.9 % at t=300 b=12' in capsys.readouterr().out
    assert min(Image.open(out).size) > 100
    config.write_text(CONFIG.format(timestep=90))
    with pytest.raises(SystemExit, match=r'2 timesteps of 2 blocks, .* gives 1 of 2'):
        runpy.run_path(str(root / 'tools/analysis_tools/gate_weights.py'), run_name='__main__')


def test_tables_of_weights():
    state_dict = {f'neck.{key}': value for key, value in aggregator().state_dict().items()}
    grid = [[(t, b) for b in (12, 9)] for t in (90, 300)]
    table = read_gates(state_dict, grid, 'run.pth')
    assert table.weights.tolist() == [[25, 25], [25, 25]]
    assert (table.rows, table.columns) == (['b=12', 'b=9'], ['t=90', 't=300'])
    # Of blocks with their own timesteps, and of a gate that varies over the image.
    neck = aggregator(num_timesteps=1, spatial_gate=True)
    neck.mean_gates.copy_(torch.tensor([[0.125, 0.875]]))
    table = read_gates(neck.state_dict(), [[(300, 12), (90, 9)]], 'run.pth')
    assert table.weights.tolist() == [[12.5], [87.5]]
    assert (table.rows, table.columns) == (['t=300 b=12', 't=90 b=9'], [''])
    with pytest.raises(CheckpointError, match=r'run\.pth has no gate_logits'):
        read_gates({}, grid, 'run.pth')
