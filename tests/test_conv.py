"""The convolution of the residual blocks against PyTorch's own."""

from unittest.mock import patch

import pytest
import torch
from torch import nn

from mmdiff.diffusion.adm.conv import Conv2d


def pair(in_channels=48, channels=320, kernel_size=3):
    """Ours and PyTorch's, with the same weights; ours has them in channels_last, as a U-Net."""
    theirs = nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2)
    ours = Conv2d(in_channels, channels, kernel_size)
    ours.load_state_dict(theirs.state_dict())
    return ours.to(memory_format=torch.channels_last), theirs


def count_changes():
    method = Conv2d._with_roles_changed
    return patch.object(Conv2d, '_with_roles_changed', autospec=True, side_effect=method)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('kernel_size', [1, 3])
@pytest.mark.parametrize(('shape', 'changed'), [
    ((1, 48, 1, 1), True), ((1, 48, 5, 8), True), ((2, 48, 4, 5), True), ((2, 48, 3, 7), False),
])  # fmt: skip
def test_small_maps(shape, changed, kernel_size, memory_format):
    ours, theirs = pair(kernel_size=kernel_size)
    x = torch.randn(shape).contiguous(memory_format=memory_format)
    with torch.no_grad(), count_changes() as changes:
        h = ours(x)
        torch.testing.assert_close(h, theirs(x))
    assert changes.called == changed
    assert h.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('frozen', [False, True])
def test_gradients_go_through(frozen):
    ours, theirs = pair()
    x = torch.randn(1, 48, 4, 4, requires_grad=True)
    ours.requires_grad_(not frozen)
    with count_changes() as changes:
        ours(x).square().mean().backward()
    gradient = x.grad.clone()
    x.grad = None
    theirs(x).square().mean().backward()
    torch.testing.assert_close(gradient, x.grad)
    assert not changes.called
    if not frozen:
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize('mixed', [False, True])
@pytest.mark.parametrize('channels', [48, 320])
def test_a_frozen_one_keeps_no_map(channels, mixed):
    ours, theirs = pair(channels=channels)
    ours.requires_grad_(False)
    x = torch.randn(2, 48, 16, 16, requires_grad=True)
    gradients, kept = [], []
    for module in (ours, theirs):
        with (
            torch.autograd.graph.saved_tensors_hooks(
                lambda t: kept.append(t.shape) or t, lambda t: t
            ),
            torch.autocast('cpu', torch.bfloat16, enabled=mixed),
        ):
            h = module(x)
        h.float().square().mean().backward()
        gradients.append(x.grad.clone())
        x.grad = None
        if module is ours:
            assert kept == [ours.weight.shape]
    tolerance = 0.02 if mixed else 1e-5
    difference = (gradients[0] - gradients[1]).norm() / gradients[1].norm()
    assert difference < tolerance


def test_mixed_precision_is_left_to_autocast():
    ours, _ = pair()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16), count_changes() as changes:
        assert ours(torch.randn(1, 48, 4, 4)).dtype == torch.bfloat16
    assert not changes.called
