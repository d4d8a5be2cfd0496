"""What a model is fed: the range of its images, and batches that batch norm can normalise."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.utils.data import DataLoader

from mmdiff.engine import InputCheckHook
from mmdiff.models import DenoisingModel, GuidedDiffusionBackbone, StableDiffusionBackbone

PREPROCESSORS = {
    'mmseg': 'SegDataPreProcessor',
    'mmdet': 'DetDataPreprocessor',
    'mmpretrain': 'ClsDataPreprocessor',
}
HALF = [127.5] * 3
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


class Backbone(nn.Module):
    image_range = (-1, 1)


def run_with(scope='mmseg', backbone=None, **normalisation):
    with DefaultScope.overwrite_default_scope(scope):
        preprocessor = MODELS.build(dict(type=PREPROCESSORS[scope], **normalisation))
    model = nn.Module()
    model.data_preprocessor, model.backbone = preprocessor, backbone or Backbone()
    return SimpleNamespace(model=model)


@pytest.mark.parametrize('scope', PREPROCESSORS)
@pytest.mark.parametrize(
    ('normalisation', 'given'),
    [
        (IMAGENET, 'values from -2.118 to 2.64'),
        (dict(mean=[0] * 3, std=[255] * 3), 'values from 0 to 1'),
        (dict(mean=[0] * 3, std=[1] * 3), 'values from 0 to 255'),
        (dict(mean=[127.5, 127.5, 0], std=HALF), 'values from -1 to 2'),
    ],
)
def test_another_range_is_refused(scope, normalisation, given):
    message = (
        rf'makes pixels of 0 to 255 {given}, but Backbone wants -1 to 1: mean=\[127\.5\] \* 3, '
    )
    with pytest.raises(ValueError, match=message):
        InputCheckHook().before_run(run_with(scope, **normalisation))


@pytest.mark.parametrize('scope', PREPROCESSORS)
@pytest.mark.parametrize(
    'normalisation',
    [
        dict(mean=HALF, std=HALF),
        dict(mean=[127, 128, 127], std=[128] * 3),
        # Of images that a pipeline has divided by 255.
        dict(mean=[0.5] * 3, std=[0.5] * 3),
        # The pipeline scales, or nothing does, which the backbone itself refuses.
        dict(),
    ],
)
def test_the_range_that_is_wanted(scope, normalisation):
    InputCheckHook().before_run(run_with(scope, **normalisation))


def test_what_diffusion_models_want():
    for model in (GuidedDiffusionBackbone, StableDiffusionBackbone, DenoisingModel):
        assert model.image_range == Backbone.image_range


def test_other_backbones_have_other_ranges():
    InputCheckHook().before_run(run_with(backbone=nn.Identity(), **IMAGENET))


POOLING = dict(
    in_channels=4, channels=4, conv_cfg=None, act_cfg=dict(type='ReLU'), align_corners=False
)


def train_with(batch_size, length=5, infinite=False, norm='BN', scales=(1, 2), drop_last=False):
    """The first iteration of a run, with a pooling as UperNet's."""
    from mmseg.models.decode_heads.psp_head import PPM

    norm_cfg = dict(type=norm, **(dict(num_groups=2) if norm == 'GN' else {}))
    model = PPM(scales, norm_cfg=norm_cfg, **POOLING)
    sampler = (InfiniteSampler if infinite else DefaultSampler)([0] * length)
    loader = DataLoader([0] * length, batch_size, sampler=sampler, drop_last=drop_last)
    hook, run = (
        InputCheckHook(),
        SimpleNamespace(model=nn.Sequential(model), train_dataloader=loader),
    )
    inputs = torch.rand(batch_size, 4, 8, 8)
    hook.before_train_iter(run, 0, dict(inputs=inputs))
    run.model(inputs)
    hook.after_train_iter(run, 0)
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ('settings', 'remedy'),
    [
        (
            dict(batch_size=1),
            r'set train_dataloader\.batch_size=2 or more, or a norm of each image',
        ),
        (dict(batch_size=1, infinite=True), r"norm_cfg=dict\(type='GN', num_groups=32\)"),
        (dict(batch_size=1, norm='SyncBN'), r"sync_bn='torch' on several GPUs"),
        (dict(batch_size=2), r'the last of an epoch is one\. Set train_dataloader\.drop_last=True'),
        (dict(batch_size=4), r'drop_last=True'),
    ],
)
def test_batch_norm_of_one_value(settings, remedy):
    with pytest.raises(ValueError, match=rf'^0\.0\.1\.bn is a batch norm of one value .*{remedy}'):
        train_with(**settings)


@pytest.mark.parametrize(
    'settings',
    [
        dict(batch_size=1, norm='GN'),
        dict(batch_size=1, scales=(2, 3)),
        dict(batch_size=2, drop_last=True),
        dict(batch_size=2, infinite=True),
        dict(batch_size=4, length=8),
        dict(batch_size=3),
    ],
)
def test_batches_that_suit(settings):
    train_with(**settings)


def test_later_iterations_are_not_watched():
    model = nn.Sequential(nn.BatchNorm2d(3))
    loader = DataLoader([0] * 4, 1)
    hook, run = InputCheckHook(), SimpleNamespace(model=model, train_dataloader=loader)
    data = dict(inputs=[torch.zeros(3, 8, 8)])
    for _ in range(2):
        hook.before_train_iter(run, 0, data)
        watched = len(model[0]._forward_pre_hooks)
        hook.after_train_iter(run, 0)
    assert watched == 0
