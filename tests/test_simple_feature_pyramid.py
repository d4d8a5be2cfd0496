"""SimpleFeaturePyramid: ViTDet's neck, against its formulas."""

import pytest
import torch
import torch.nn.functional as F

from mmdiff.models import SimpleFeaturePyramid


def transposed(x, weight, bias):
    """A transposed convolution of kernel and stride 2: 2x2 outputs of each position."""
    n, _, h, w = x.shape
    cells = torch.einsum('nchw,cdij->ndhiwj', x, weight)
    return cells.reshape(n, -1, 2 * h, 2 * w) + bias[:, None, None]


def layer_norm(x, weight, bias):
    """Over the channels of each position."""
    deviation = x - x.mean(dim=1, keepdim=True)
    variance = deviation.square().mean(dim=1, keepdim=True)
    return deviation / (variance + 1e-6).sqrt() * weight[:, None, None] + bias[:, None, None]


def reference(x, weights):
    """The levels, from the weights in the order in which ViTDet's code makes them."""
    weights = iter(weights)

    def take(count):
        return [next(weights) for _ in range(count)]

    def level(x):
        (weight,) = take(1)
        x = layer_norm(torch.einsum('nchw,dc->ndhw', x, weight[..., 0, 0]), *take(2))
        (weight,) = take(1)
        return layer_norm(F.conv2d(F.pad(x, [1] * 4), weight), *take(2))

    h = layer_norm(transposed(x, *take(2)), *take(2))
    # GELU, of which PyTorch 2.1's own gradient is wrong where this one has strides.
    hidden = h * (1 + torch.erf(h / 2**0.5)) / 2
    levels = [level(transposed(hidden, *take(2))), level(transposed(x, *take(2))), level(x)]
    height, width = x.shape[-2:]
    # Beyond an odd edge there is nothing that could be larger.
    even = F.pad(x, [0, width % 2, 0, height % 2], value=-torch.inf)
    levels.append(level(even.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))))
    assert next(weights, None) is None
    return [*levels, levels[-1][..., ::2, ::2]]


@pytest.mark.parametrize('size', [(4, 6), (5, 3), (1, 1)])
def test_levels_and_gradients(size):
    torch.manual_seed(0)
    neck = SimpleFeaturePyramid(in_channels=8, out_channels=6)
    for parameter in neck.parameters():
        parameter.data.normal_(std=0.5)
    feature = torch.randn(2, 8, *size, requires_grad=True)
    levels = neck([feature])
    height, width = size
    assert [tuple(level.shape) for level in levels] == [
        (2, 6, 4 * height, 4 * width), (2, 6, 2 * height, 2 * width), (2, 6, height, width),
        (2, 6, -(-height // 2), -(-width // 2)), (2, 6, -(-height // 4), -(-width // 4)),
    ]  # fmt: skip
    expected = reference(feature, neck.parameters())
    for level, theirs in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, theirs, rtol=1e-4, atol=1e-5)
    inputs = [feature, *neck.parameters()]
    ours, theirs = (
        torch.autograd.grad(sum(level.square().sum() for level in of), inputs)
        for of in (levels, expected)
    )
    for gradient, other in zip(ours, theirs, strict=True):
        assert gradient.abs().max() > 0
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-3)


def test_another_norm():
    neck = SimpleFeaturePyramid(8, 6, norm_cfg=dict(type='GN', num_groups=2))
    assert sum(isinstance(m, torch.nn.GroupNorm) for m in neck.modules()) == 9
    assert len(neck([torch.zeros(1, 8, 2, 2)])) == 5


@pytest.mark.parametrize(
    ('features', 'message'),
    [
        ([torch.zeros(1, 8, 2, 2)] * 2, 'got 2 of blocks; FeatureAdapter takes several'),
        ([[torch.zeros(1, 8, 2, 2)]], 'got 1 of timesteps, as sequences'),
        ([torch.zeros(1, 4, 2, 2)], 'the feature has 4 channels, but in_channels=8'),
    ],
)
def test_features_of_another_backbone(features, message):
    with pytest.raises(ValueError, match=message):
        SimpleFeaturePyramid(in_channels=8)(features)


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        (dict(in_channels=6), ValueError, 'in_channels must be a multiple of 4, got 6'),
        (dict(in_channels=8, out_channels=0), ValueError, 'out_channels must be an int of at le'),
        (dict(in_channels=8, norm_cfg='LN'), TypeError, "norm_cfg must be a dict with a 'type'"),
    ],
)
def test_bad_arguments(kwargs, error, message):
    with pytest.raises(error, match=message):
        SimpleFeaturePyramid(**kwargs)
