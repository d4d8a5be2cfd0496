"""Attention in oneDNN against PyTorch's fused kernel."""

import pytest
import torch
import torch.nn.functional as F

from mmdiff.diffusion import attention
from mmdiff.diffusion.attention import AttentionProcessor, attend
from mmdiff.diffusion.packing import runs_in_onednn

TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 1e-2}


@pytest.fixture
def calls(monkeypatch):
    """Calls of oneDNN."""
    calls, linear = [], attention._linear
    monkeypatch.setattr(attention, '_linear', lambda *args: calls.append(args) or linear(*args))
    return calls


def drawn(dtype, queries, keys, heads=2, width=40, images=2):
    if not runs_in_onednn(torch.device('cpu'), dtype):
        pytest.skip(f'oneDNN has no {dtype} here')
    generator = torch.Generator().manual_seed(0)
    sizes = [(images, heads, tokens, width) for tokens in (queries, keys, keys)]
    return [torch.randn(size, generator=generator).to(dtype) for size in sizes]


def difference(q, k, v):
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    return ((attend(q, k, v) - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize(
    # All queries at once, in several parts, in parts of which the last is smaller.
    ('queries', 'keys'),
    [(512, 512), (1024, 640), (1100, 300)],
)
def test_equals_the_fused_kernel(queries, keys, dtype, calls):
    q, k, v = drawn(dtype, queries, keys)
    with torch.no_grad():
        assert difference(q, k, v) < TOLERANCE[dtype]
        assert calls
        # As the networks give them: slices of one tensor, with the heads behind the tokens.
        strided = torch.stack([q.transpose(1, 2)] * 3).transpose(2, 3)
        assert difference(*strided) < TOLERANCE[dtype]
        assert torch.equal(attend(q[:1], k[:1], v[:1]), attend(q, k, v)[:1])


def test_large_scores_stay_finite(calls):
    q, k, v = drawn(torch.float32, 512, 512)
    assert difference(100 * q, 100 * k, v) < 1e-4
    assert calls


def test_only_where_it_is_faster(calls):
    for dtype in TOLERANCE:
        attend(*drawn(dtype, 64, 77))
    q, k, v = drawn(torch.float32, 512, 512)
    attend(q.double(), k.double(), v.double())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        attend(q, k, v)
    torch.compile(attend, backend='eager')(q, k, v)
    assert not calls


def test_gradients(calls):
    q, k, v = (x.requires_grad_() for x in drawn(torch.float32, 512, 512))
    attend(q, k, v).sum().backward()
    assert not calls
    assert all(x.grad.norm() > 0 for x in (q, v))
    with torch.no_grad():
        attend(q, k, v)
    assert calls


@pytest.mark.parametrize('tokens', [None, 77])
def test_in_a_transformer_of_diffusers(tokens, calls):
    """Attention to the maps themselves, and to a text."""
    layers = pytest.importorskip('diffusers.models.attention_processor')
    layer = layers.Attention(80, cross_attention_dim=tokens and 32, heads=2, dim_head=40).eval()
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 32 * 32, 80, generator=generator)
    text = None if tokens is None else torch.randn(2, tokens, 32, generator=generator)
    with torch.no_grad():
        expected = layer(maps, encoder_hidden_states=text)
        layer.set_processor(AttentionProcessor())
        found = layer(maps, encoder_hidden_states=text)
    assert torch.allclose(found, expected, atol=1e-5)
    assert bool(calls) == (tokens is None)
