"""FusedBackbone: a denoiser of every family beside a ViT, and what feeds a level together."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS, DefaultScope
from test_families import (
    FAMILIES,
    every_family,
    images,
    near,
    same,
    save_run,
    with_several_timesteps,
)

from mmdiff.engine import InputCheckHook, PrepareForInferenceHook
from mmdiff.models import FeatureAdapter, FusedBackbone
from mmdiff.models.backbones.fused import BranchInput

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
ARCH = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
# The position embedding is of 32x32 images.
VIT = dict(
    type='mmpretrain.VisionTransformer',
    arch=ARCH,
    img_size=32,
    patch_size=8,
    out_indices=(0, 1),
    out_type='featmap',
)
VIT_BRANCH = dict(backbone=VIT, mean=MEAN, std=STD, frozen=True)


def denoiser(family, **kwargs):
    settings = FAMILIES[family] | kwargs
    return settings | dict(type=f'mmdiff.{settings["type"]}')


def fused(family, second=VIT_BRANCH, seed=0, **kwargs):
    torch.manual_seed(seed)
    model = FusedBackbone([dict(backbone=denoiser(family, **kwargs)), second])
    for parameter in model.parameters():
        if not parameter.any():
            parameter.data.normal_(std=0.05)
    return model


@every_family
def test_features_are_those_of_each(family):
    """In the order of the branches, each with its images."""
    model = fused(family).eval()
    unet, vit = model.backbones
    pixels = images() * 127.5 + 127.5
    normalised = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        features = model(images())
        same(features, [*unet(images()), *vit(normalised)])
    assert all(feature.is_contiguous() for feature in features)
    assert [f.shape[1] for f in features] == [*unet.out_channels, 32, 32]


@with_several_timesteps
def test_timesteps_are_concatenated(family):
    model = fused(family, timestep=(90, 300)).eval()
    with torch.no_grad():
        *of_unet, _, _ = model(images())
        early, late = model.backbones[0](images())
    same(of_unet, [torch.cat(maps, dim=1) for maps in zip(early, late, strict=True)])


@every_family
@pytest.mark.parametrize('size', [(33, 64), (50, 70)])
def test_any_size_feeds_the_same_levels(family, size):
    """A ViT whose patches are 7 of 8 pixels, too."""
    vit = dict(VIT_BRANCH, backbone=VIT | dict(patch_size=7, img_size=28), scale=(7, 8))
    model = fused(family, vit, blocks=FAMILIES[family]['blocks'][:2]).eval()
    neck = FeatureAdapter(
        in_channels=(*model.backbones[0].out_channels, 32, 32),
        in_strides=(*model.backbones[0].strides, 8, 8),
        out_channels=4,
        out_strides=(4, 8),
    )
    with torch.no_grad():
        features = model(images(1, *size))
        levels = neck(features)
    assert features[-1].shape[-2:] == (-(-size[0] // 8), -(-size[1] // 8))
    for number, level in enumerate(levels):
        sides = [
            [-(-(-(-side // s) * s) // neck.out_strides[number]) for side in size]
            for s in neck.in_strides[number::2]
        ]
        # None reaches further beyond the edge than the others.
        assert list(level.shape[-2:]) == [min(of_side) for of_side in zip(*sides, strict=True)]
        assert level.is_contiguous()


@every_family
def test_what_is_frozen_stays(family):
    model = fused(family).train()
    unet, vit = model.backbones
    assert unet.training
    assert not any(module.training for module in vit.modules())
    sum(f.square().mean() for f in model(images())).backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    assert any(p.requires_grad for p in unet.parameters())
    assert not any(p.requires_grad for p in vit.parameters())

    frozen = FusedBackbone([dict(backbone=denoiser(family), frozen=True)]).train()
    assert not any(p.requires_grad for p in frozen.parameters())
    assert not any(module.training for module in frozen.backbones[0].modules())


@every_family
def test_is_prepared_for_a_test(family):
    model = fused(family, eval_noise='fixed', amp_dtype='bfloat16').eval()

    class Runner:
        pass

    Runner.model = torch.nn.Sequential(model)
    with torch.no_grad():
        before = model(images())
        PrepareForInferenceHook().before_test(Runner)
        near(model(images()), before, tolerance=0.05)
    assert model.backbones[0]._graphed is not None


@pytest.mark.parametrize('family', ['guided diffusion', 'stable diffusion'])
def test_weights_of_a_run(family, tmp_path):
    """A run of the fused backbone goes on, and its denoiser alone starts another."""
    model, path = fused(family), tmp_path / 'iter_1.pth'
    save_run(model, path)
    again = fused(family, seed=1)
    again.load_state_dict(model.state_dict())
    unet = model.backbones[0]
    prefix = 'backbone.backbones.0.' + ('' if hasattr(unet, 'vae') else f'{unet.network_name}.')
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix=prefix)
    started = fused(family, seed=2, init_cfg=init_cfg)
    started.init_weights()
    for key, value in unet.network.state_dict().items():
        assert torch.equal(started.backbones[0].network.state_dict()[key], value), key


def test_weights_of_a_branch_are_loaded(tmp_path):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        vit = MODELS.build(VIT)
    weights = {
        f'backbone.{key}': torch.randn_like(value) for key, value in vit.state_dict().items()
    }
    torch.save(dict(state_dict=weights), tmp_path / 'vit.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'vit.pth'), prefix='backbone.')
    model = fused('guided diffusion', dict(VIT_BRANCH, backbone=VIT | dict(init_cfg=init_cfg)))
    model.init_weights()
    for key, value in model.backbones[1].state_dict().items():
        assert torch.equal(weights[f'backbone.{key}'], value), key


@pytest.mark.parametrize('scope', ['mmseg', 'mmdet', 'mmpretrain'])
def test_types_without_a_scope_are_the_runs(scope):
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(
            dict(
                type='mmdiff.FusedBackbone',
                branches=[dict(backbone=dict(type='ResNet', depth=18), mean=MEAN, std=STD)],
            )
        )
    assert type(model.backbones[0]).__module__ == f'{scope}.models.backbones.resnet'


def test_the_data_preprocessor_is_checked():
    class Runner:
        model = torch.nn.Module()

    with DefaultScope.overwrite_default_scope('mmseg'):
        Runner.model.data_preprocessor = MODELS.build(
            dict(type='SegDataPreProcessor', mean=MEAN, std=STD)
        )
    Runner.model.backbone = fused('guided diffusion')
    with pytest.raises(ValueError, match='FusedBackbone wants -1 to 1'):
        InputCheckHook().before_run(Runner)


def test_images_of_a_branch_are_resized():
    x = torch.rand(1, 3, 32, 48)
    resized = BranchInput(None, None, (14, 16), '')(x)
    assert resized.shape == (1, 3, 28, 42)
    same([resized], [F.interpolate(x, (28, 42), mode='bilinear', antialias=True)])
    # Padded by repeating the edge, and of their size.
    padded = BranchInput(None, None, (16, 16), '')(x[..., :40])
    same([padded[..., :40]], [x[..., :40]], tolerance=1e-6)
    same([padded[..., 40:]], [x[..., 39:40].expand(-1, -1, -1, 8)], tolerance=1e-6)


@pytest.mark.parametrize(
    ('branches', 'error', 'message'),
    [
        ([], TypeError, r'branches must be a list of one or more dicts, got \[\]'),
        (dict(backbone=VIT), TypeError, 'branches must be a list'),
        ([VIT], TypeError, r'branches\[0\] must be a dict with a backbone=dict'),
        ([dict(backbone=VIT, freeze=True)], ValueError, r'branches\[0\] has freeze; allowed are'),
        ([dict(backbone=VIT, mean=MEAN)], ValueError, r'branches\[0\].std must be three numbers'),
        (
            [dict(backbone=VIT, mean=MEAN, std=[1, 0, 1])],
            ValueError,
            r'branches\[0\].std must be above 0, got \[1, 0, 1\]',
        ),
        ([dict(backbone=VIT, frozen=1)], TypeError, r'branches\[0\].frozen must be True or False'),
        ([dict(backbone=VIT, scale=0.875)], TypeError, r'branches\[0\].scale must be a list'),
        ([dict(backbone=VIT, scale=(14,))], ValueError, r'branches\[0\].scale must be two ints'),
    ],
)
def test_bad_branches(branches, error, message):
    with pytest.raises(error, match=message):
        FusedBackbone(branches)


def test_what_is_no_map_is_refused():
    model = FusedBackbone([dict(backbone=VIT | dict(out_type='cls_token'), mean=MEAN, std=STD)])
    message = r"branches\[0\].backbone, VisionTransformer, .* got \(2, 32\): .* out_type='featmap'"
    with pytest.raises(ValueError, match=message):
        model(images(2, 32, 32))
