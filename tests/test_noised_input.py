"""NoisedInputBackbone: a backbone of another package on the images that a U-Net sees."""

import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope
from mmpretrain.models import ResNet

from mmdiff.classification.feature_cache import map_names
from mmdiff.diffusion import fixed_noise, q_sample
from mmdiff.models import GuidedDiffusionBackbone, NoisedInputBackbone

RESNET = dict(type='ResNet', depth=18, base_channels=8, out_indices=(1, 3), frozen_stages=4)
VIT = dict(
    type='VisionTransformer', img_size=32, patch_size=16, out_type='featmap', out_indices=(0, 1),
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=16),
)  # fmt: skip


def backbone(**kwargs):
    torch.manual_seed(0)
    settings = dict(type='mmdiff.NoisedInputBackbone', backbone=RESNET, timestep=90) | kwargs
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return ROOT.build(settings).eval()


def images(n=2):
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(5)) * 2 - 1


def test_features_are_those_of_the_noised_image_as_the_backbone_knows_images():
    model = backbone(timestep=200)
    assert isinstance(model, NoisedInputBackbone)
    assert isinstance(model.backbone, ResNet)
    x_t = q_sample(images(), 200, fixed_noise(0, (1, 3, 32, 32)), 'linear')
    pixels = 127.5 * (x_t + 1)
    mean, std = torch.tensor([[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]])[..., None, None]
    for found, expected in zip(model(images()), model.backbone((pixels - mean) / std), strict=True):
        torch.testing.assert_close(found, expected)


def test_noise_is_a_diffusion_backbones():
    theirs = GuidedDiffusionBackbone('adm-64-small', blocks=1, seed=3).eval()
    for eval_noise in ('fixed', 'none'):
        model = backbone(seed=3, eval_noise=eval_noise)
        theirs.eval_noise = eval_noise
        assert torch.equal(model.noised(images(), 90), theirs.noised(images(), 90))


def test_training_draws_fresh_noise():
    model = backbone().train()
    assert not torch.equal(model.noised(images(), 90), model.noised(images(), 90))
    model = backbone(noise='fixed').train()
    assert torch.equal(model.noised(images(), 90), model.noised(images(), 90))


@pytest.mark.parametrize('inner', [RESNET, VIT], ids=lambda cfg: cfg['type'])
def test_several_timesteps(inner):
    model = backbone(backbone=inner, timestep=(10, 500))
    features = model(images())
    assert [len(maps) for maps in features] == [2, 2]
    for t, maps in zip((10, 500), features, strict=True):
        alone = backbone(backbone=inner, timestep=t)
        alone.load_state_dict(model.state_dict())
        for found, expected in zip(maps, alone(images()), strict=True):
            torch.testing.assert_close(found, expected)
    assert map_names(model, features) == [
        ['t=10 map 1', 't=10 map 2'],
        ['t=500 map 1', 't=500 map 2'],
    ]


def test_weights_are_the_backbones_and_load_by_its_own_names(tmp_path):
    plain = ResNet(depth=18, base_channels=8)
    torch.save(plain.state_dict(), tmp_path / 'resnet.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth'))
    model = backbone(backbone=dict(init_cfg=init_cfg, **RESNET))
    model.init_weights()
    found = {key.removeprefix('backbone.'): value for key, value in model.state_dict().items()}
    assert found.keys() == plain.state_dict().keys()
    assert all(torch.equal(value, found[key]) for key, value in plain.state_dict().items())


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        (dict(backbone='ResNet'), TypeError, "backbone must be the config .* got 'ResNet'"),
        (dict(backbone=dict(depth=18)), TypeError, 'backbone must be the config'),
        (dict(timestep=1000), ValueError, 'timestep must be an int from 0 to 999, got 1000'),
        (dict(timestep=(90, 90)), ValueError, 'a sequence of different ints'),
        (dict(noise='gauss'), ValueError, 'noise must be one of random, fixed, none'),
        (dict(eval_noise=None), ValueError, 'eval_noise must be one of'),
        (dict(noise_schedule='sigmoid'), ValueError, 'noise_schedule must be one of linear'),
        (dict(seed=-1), ValueError, 'seed must be an int of at least 0'),
        (dict(mean=[127.5]), ValueError, 'mean must be three numbers, of R, G and B'),
        (dict(std=(1, 0, 1)), ValueError, 'std must be above 0'),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        backbone(**arguments)


@pytest.mark.parametrize(
    ('x_0', 'error', 'message'),
    [
        (images()[0], ValueError, r'must have shape \(N, 3, H, W\)'),
        (images().mul(127.5).byte(), TypeError, 'must hold floating-point values'),
        (3 * images(), ValueError, r'must be RGB images in \[-1, 1\]'),
    ],
)
def test_bad_images(x_0, error, message):
    with pytest.raises(error, match=message):
        backbone()(x_0)
