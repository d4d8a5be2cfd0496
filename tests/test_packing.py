"""Layers in oneDNN's layout, beside the layers that they were."""

import copy
import pickle

import pytest
import torch
from torch import nn

from mmdiff.diffusion import PackedLayer, can_pack, pack_weights

LAYERS = {
    'convolution': (lambda: nn.Conv2d(8, 12, 3, padding=1), (2, 8, 9, 6)),
    'strided': (lambda: nn.Conv2d(8, 12, 3, stride=2, padding=1), (1, 8, 8, 8)),
    'grouped': (lambda: nn.Conv2d(8, 12, 3, groups=2, bias=False), (2, 8, 9, 6)),
    'of one pixel': (lambda: nn.Conv2d(8, 12, 1), (2, 8, 5, 7)),
    'one-dimensional': (lambda: nn.Conv1d(8, 12, 1), (2, 8, 35)),
    'linear': (lambda: nn.Linear(8, 12), (2, 35, 8)),
    'linear without bias': (lambda: nn.Linear(8, 12, bias=False), (3, 8)),
}
every_layer = pytest.mark.parametrize('name', LAYERS)
# Elsewhere they run as they did, which the matrix of test_prepare_for_inference.py shows.
pytestmark = pytest.mark.skipif(
    not can_pack(torch.device('cpu')), reason='PyTorch has no oneDNN for x86 here'
)


def packed(name, dtype=torch.float32):
    """A layer, the same packed, and an input."""
    torch.manual_seed(0)
    build, shape = LAYERS[name]
    layer = build().requires_grad_(False).to(dtype)
    parent = nn.Sequential(copy.deepcopy(layer))
    pack_weights(parent)
    return layer, parent, torch.randn(shape, dtype=dtype)


def close(a, b, tolerance=1e-6):
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    assert (a - b).float().norm() <= tolerance * b.float().norm()


@every_layer
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_same_as_the_layer(name, dtype):
    layer, parent, x = packed(name, dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-2
    for images in (x, x, torch.cat([x, x]), x.transpose(-1, -2).contiguous().transpose(-1, -2)):
        close(parent(images), layer(images), tolerance)
    assert parent[0].weight is None
    assert not list(parent.parameters())[1:]


@every_layer
@torch.no_grad()
def test_a_checkpoint_has_the_weights_and_is_taken(name):
    layer, parent, x = packed(name)
    parent(x)
    stored = parent[0].state_dict()
    assert stored.keys() == layer.state_dict().keys()
    assert all(torch.equal(stored[key], value) for key, value in layer.state_dict().items())
    other = LAYERS[name][0]()
    parent[0].load_state_dict(other.state_dict())
    close(parent(x), other(x))
    with pytest.raises(RuntimeError, match='Missing key'):
        parent[0].load_state_dict({})


@every_layer
@torch.no_grad()
def test_copies_and_other_types(name):
    layer, parent, x = packed(name)
    expected = layer(x)
    parent(x)
    for twin in (copy.deepcopy(parent), pickle.loads(pickle.dumps(parent))):
        close(twin(x), expected)
    close(parent.double()(x.double()), layer.double()(x.double()))
    close(parent.float()(x), expected)


@every_layer
def test_an_input_gets_its_gradient(name):
    layer, parent, x = packed(name)
    with torch.no_grad():
        parent(x)
    gradients = []
    for module in (layer, parent):
        images = x.clone().requires_grad_()
        module(images).square().sum().backward()
        gradients.append(images.grad)
    close(*gradients[::-1])


@torch.no_grad()
def test_packed_anew_for_another_number_of_threads(monkeypatch):
    layer, parent, x = packed('convolution')
    parent(x)
    first = parent[0].packed
    parent(x)
    assert parent[0].packed is first
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 7)
    close(parent(x), layer(x))
    assert parent[0].packed is not first
    assert parent[0].weight is None


@torch.no_grad()
def test_autocast_to_another_type():
    layer, parent, x = packed('linear')
    parent(x)
    with torch.autocast('cpu', torch.bfloat16):
        close(parent(x), layer(x), 1e-2)
    assert isinstance(parent[0], PackedLayer)
    close(parent(x), layer(x))


def test_what_onednn_has_not_stays_as_it_is():
    layers = (
        nn.Conv2d(4, 4, 3, padding=1, padding_mode='reflect'),
        nn.Conv2d(4, 4, 2, padding='same'),
        nn.Conv1d(4, 4, 3),
        nn.ConvTranspose2d(4, 4, 2),
    )
    parent = nn.Sequential(*layers)
    pack_weights(parent)
    assert tuple(parent) == layers
