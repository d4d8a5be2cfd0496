"""FeatureAdapter: the neck between U-Net features and a dense head."""

import pytest
import torch
import torch.nn.functional as F

from mmdiff.models import FeatureAdapter


def test_one_feature_for_all_levels():
    neck = FeatureAdapter(in_channels=[8], in_strides=[16], out_channels=6)
    feature = torch.randn(2, 8, 4, 6)
    levels = neck([feature])
    assert [tuple(level.shape) for level in levels] == [
        (2, 6, 16, 24), (2, 6, 8, 12), (2, 6, 4, 6), (2, 6, 2, 3),
    ]  # fmt: skip
    assert sum(p.numel() for p in neck.parameters()) == 8 * 6 + 6
    for level in levels:
        resized = F.interpolate(neck.convs[0](feature), size=level.shape[-2:], mode='bilinear')
        torch.testing.assert_close(level, resized)


def test_each_feature_its_own_level():
    """Blocks {33, 30, 27, 24} of the 256 model: strides 2, 4, 8, 16 to 4, 8, 16, 32."""
    neck = FeatureAdapter(in_channels=[4, 5, 6, 7], in_strides=[2, 4, 8, 16], out_channels=3)
    features = [torch.randn(1, c, 64 // s, 96 // s) for c, s in ((4, 2), (5, 4), (6, 8), (7, 16))]
    levels = neck(features)
    for level, feature, conv, stride in zip(
        levels, features, neck.convs, (4, 8, 16, 32), strict=True
    ):
        assert level.shape == (1, 3, 64 // stride, 96 // stride)
        resized = F.interpolate(conv(feature), size=level.shape[-2:], mode='bilinear')
        torch.testing.assert_close(level, resized)


def test_several_timesteps_are_concatenated():
    neck = FeatureAdapter(in_channels=[4, 6], in_strides=[2, 4], out_channels=3, out_strides=(4, 8))
    timesteps = [[torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4)] for _ in range(2)]
    together = [torch.cat(maps, dim=1) for maps in zip(*timesteps, strict=True)]
    for level, expected in zip(neck(timesteps), neck(together), strict=True):
        assert torch.equal(level, expected)
    with pytest.raises(ValueError, match=r'features have \(2, 3\) channels'):
        neck(timesteps[:1])


def test_levels_of_a_detector():
    """As FPN's and ViTDet's: a 3x3 convolution and norm on each level, and one level more."""
    torch.manual_seed(0)
    neck = FeatureAdapter(
        in_channels=[8],
        in_strides=[16],
        out_channels=6,
        level_convs=True,
        norm_cfg=dict(type='GN', num_groups=2),
        pooled_level=True,
    )
    plain = FeatureAdapter(in_channels=[8], in_strides=[16], out_channels=6)
    plain.convs.load_state_dict(neck.convs.state_dict())
    feature = torch.randn(2, 8, 4, 6)
    levels = neck([feature])
    assert [tuple(level.shape[-2:]) for level in levels] == [
        (16, 24), (8, 12), (4, 6), (2, 3), (1, 2),
    ]  # fmt: skip
    for level, before, conv in zip(levels, plain([feature]), neck.level_convs, strict=False):
        convolved = F.conv2d(before, conv.conv.weight, padding=1)
        torch.testing.assert_close(level, F.group_norm(convolved, 2))
    assert torch.equal(levels[4], levels[3][..., ::2, ::2])


def test_sizes_of_an_image_of_any_size():
    """Levels have ceil(side / stride) cells, as a backbone with those strides would give."""
    neck = FeatureAdapter(in_channels=[1] * 4, in_strides=[2, 4, 8, 16], out_channels=1)
    height, width = 500, 333
    features = [torch.randn(1, 1, -(-height // s), -(-width // s)) for s in (2, 4, 8, 16)]
    sizes = [tuple(level.shape[-2:]) for level in neck(features)]
    assert sizes == [(-(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(in_channels=[8, 8], in_strides=[2]), 'must name the same features'),
        (
            dict(in_channels=[8], in_strides=[2], norm_cfg=dict(type='BN')),
            'is for level_convs, but level_convs=False',
        ),
        (dict(in_channels=[8, 8], in_strides=[2, 4]), '2 features cannot feed the 4 levels'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        FeatureAdapter(**kwargs)


def test_features_of_another_backbone():
    neck = FeatureAdapter(in_channels=[8], in_strides=[16])
    with pytest.raises(ValueError, match=r'features have \(4,\) channels, but in_channels=\(8,\)'):
        neck([torch.zeros(1, 4, 2, 2)])
    with pytest.raises(ValueError, match=r'features have \(8, 8\) channels'):
        neck([torch.zeros(1, 8, 2, 2)] * 2)
    neck = FeatureAdapter(in_channels=[8, 8], in_strides=[4, 8], out_strides=[4, 8])
    neck([torch.zeros(1, 8, 5, 5), torch.zeros(1, 8, 3, 3)])
    with pytest.raises(ValueError, match=r'sizes \[\(5, 5\), \(5, 5\)\], .* in_strides=\(4, 8\)'):
        neck([torch.zeros(1, 8, 5, 5)] * 2)


def test_features_of_several_backbones_are_added_up():
    """The sum of two 1x1 convolutions is one of both features together."""
    neck = FeatureAdapter(
        in_channels=[4, 5, 6, 7], in_strides=[4, 8, 4, 8], out_channels=3, out_strides=(4, 8)
    )
    features = [torch.randn(1, c, 32 // s, 48 // s) for c, s in ((4, 4), (5, 8), (6, 4), (7, 8))]
    for number, level in enumerate(neck(features)):
        first, second = neck.convs[number], neck.convs[number + 2]
        together = F.conv2d(
            torch.cat(features[number::2], dim=1),
            torch.cat([first.weight, second.weight], dim=1),
            first.bias + second.bias,
        )
        torch.testing.assert_close(level, together)
    with pytest.raises(ValueError, match='3 features cannot feed the 2 levels'):
        FeatureAdapter(in_channels=[4] * 3, in_strides=[4] * 3, out_strides=(4, 8))


def test_what_is_added_up_covers_the_same_pixels():
    """50 pixels are 13 positions at stride 4, and 4 at stride 16, which are 64 pixels."""
    neck = FeatureAdapter(in_channels=[1, 1], in_strides=[4, 16], out_channels=1, out_strides=(4,))
    for conv in neck.convs:
        conv.weight.data.fill_(1)
        conv.bias.data.zero_()
    position = torch.arange(4.0).expand(1, 1, 4, 4) * 16 + 8
    (level,) = neck([torch.zeros(1, 1, 13, 13), position])
    assert level.shape == (1, 1, 13, 13)
    # Between the first centre and the last, each position tells where its centre is.
    torch.testing.assert_close(level[0, 0, 0, 2:], torch.arange(2.0, 13) * 4 + 2)


def test_levels_are_contiguous():
    """A ViT's maps are channels_last, which mmcv's RoIAlign would misread."""
    neck = FeatureAdapter(in_channels=[8], in_strides=[16], out_channels=4, level_convs=True)
    feature = torch.randn(1, 4, 6, 8).permute(0, 3, 1, 2)
    levels = neck([feature])
    assert all(level.is_contiguous() for level in levels)
    for level, expected in zip(levels, neck([feature.contiguous()]), strict=True):
        torch.testing.assert_close(level, expected)
