"""The norm of the residual blocks and its gradients against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F

from mmdiff.diffusion.adm.norm import GroupNorm32


# Of 1 to 16 channels a group: both ways of its backward.
@pytest.mark.parametrize('channels', [32, 64, 224, 256, 512])
@pytest.mark.parametrize('silu', [False, True])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_gradients(channels, silu, memory_format):
    """Of maps whose mean is larger than their deviation, which cancels badly."""
    torch.manual_seed(0)
    norm = GroupNorm32(channels)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(3, channels, 6, 5).mul(2).add(5).contiguous(memory_format=memory_format)
    of_h = torch.randn(x.shape)
    leaves = [t.detach().double().requires_grad_() for t in (x, norm.weight, norm.bias)]
    expected = F.group_norm(leaves[0], 32, *leaves[1:], norm.eps)
    expected = F.silu(expected) if silu else expected
    of_leaves = torch.autograd.grad(expected, leaves, of_h.double())
    h = norm(x.requires_grad_(), silu=silu)
    torch.testing.assert_close(h.double(), expected, rtol=1e-5, atol=1e-5)
    ours = torch.autograd.grad(h, [x, norm.weight, norm.bias], of_h)
    for gradient, exact in zip(ours, of_leaves, strict=True):
        torch.testing.assert_close(gradient.double(), exact, rtol=1e-4, atol=5e-5)
    assert ours[0].is_contiguous(memory_format=torch.channels_last)
