"""What a backbone does once, and its CUDA graphs, of which a CPU can only record the operators."""

import copy
import gc

import pytest
import torch
from test_families import backbone, every_family, images, near, same
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mmdiff.diffusion import PackedLayer, fixed_noise, time_vectors
from mmdiff.models.backbones import cuda_graph
from mmdiff.models.backbones.cuda_graph import CALLS_BEFORE, CapturedGraph, GraphedFunction, Inputs


class Recorder(TorchDispatchMode):
    """The operators of a function, to be run again on the same memory, as a CUDA graph does."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError('the host reads a value')
        out = func(*args, **(kwargs or {}))
        self.steps.append((func, args, kwargs or {}, out))
        return out

    def replay(self):
        for func, args, kwargs, out in self.steps:
            again = func(*args, **kwargs)
            for old, new in zip(tree_flatten(out)[0], tree_flatten(again)[0], strict=True):
                if torch.is_tensor(old) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class RecordedGraph(CapturedGraph):
    """As :class:`CapturedGraph`, but on a CPU."""

    def __init__(self, function, images):
        self.images = images.clone()
        function(self.images)
        with Recorder() as self.graph, Inputs() as inputs:
            self.maps = function(self.images)
        self.inputs = inputs.tensors


def prepared(family, **kwargs):
    model = backbone(family, **kwargs).eval().requires_grad_(False)
    model.prepare_for_inference()
    return model


def graphed(model):
    """Runs its forward as a recorded graph, where a GPU would capture it."""
    model._graphed = GraphedFunction(model._maps, model, capture=RecordedGraph)
    model._runs_as_graph = lambda x_0: not model.training
    return model._graphed


def flat(features):
    return [m for maps in features for m in ([maps] if torch.is_tensor(maps) else maps)]


@every_family
@torch.no_grad()
def test_features_stay_the_same(family):
    model = backbone(family).eval()
    ready = copy.deepcopy(model).requires_grad_(False)
    ready.prepare_for_inference()
    graphs = graphed(ready)
    for _ in range(CALLS_BEFORE + 2):
        near(ready(images()), model(images()))
    assert len(graphs.graphs) == 1
    # Other images, an other size, and again the first.
    for x in (images().flip(0), images(1, 32, 32), images()):
        near(ready(x), model(x))
    # Copies have weights of their own.
    twin = copy.deepcopy(ready)
    for parameter in twin.network.parameters():
        parameter.mul_(1.1)
    assert not torch.equal(twin(images())[0], ready(images())[0])


@every_family
@torch.no_grad()
def test_changed_weights_are_seen(family):
    """Of the embedding as of others: changed in place, or by other memory."""
    ready, other = prepared(family), backbone(family, seed=1).eval()
    graphs = graphed(ready)
    for _ in range(CALLS_BEFORE + 1):
        before = ready(images())
    (graph,) = graphs.graphs.values()
    ready.load_state_dict(other.state_dict())
    for _ in range(2):
        near(ready(images()), other(images()))
    assert graph not in graphs.graphs.values()
    assert not torch.equal(before[0], other(images())[0])
    ready.double().float()
    near(ready(images()), other(images()))


@every_family
@torch.no_grad()
def test_embeddings_are_computed_once(family):
    ready = prepared(family)
    embedding = [m for layers in ready.network.embeddings() for m in layers.modules()]
    linear = [m for m in embedding if isinstance(m, PackedLayer) and len(m.shape) == 2]
    linear += [
        module
        for name, module in ready.network.named_modules()
        if isinstance(module, PackedLayer) and ('emb_layers' in name or 'adaLN' in name)
    ]
    calls = []
    for module in linear:
        module.register_forward_hook(lambda *_: calls.append(1))
    for n in (2, 2, 3, 2):
        ready(images(n))
    # Once for all sizes: there is one timestep for all.
    assert len(linear) <= len(calls) <= 2 * len(linear)
    calls.clear()
    with torch.autocast('cpu', torch.bfloat16):
        ready(images())
    assert len(calls) == len(linear)


@every_family
@torch.no_grad()
def test_a_changed_learned_timestep_is_seen(family):
    ready = prepared(family, timestep='learned', initial_timestep=90, eval_noise='clean')
    integer = backbone(family, timestep=90, eval_noise='clean').eval()
    integer.load_state_dict(ready.state_dict(), strict=False)
    graphed(ready)
    for _ in range(CALLS_BEFORE + 2):
        near(ready(images()), integer(images()))
    ready.learned_timestep.copy_(time_vectors(torch.tensor([300]), ready.arch))
    integer = backbone(family, timestep=300, eval_noise='clean').eval()
    integer.load_state_dict(ready.state_dict(), strict=False)
    near(ready(images()), integer(images()))


@torch.no_grad()
def test_several_timesteps_one_after_another_are_all_kept():
    ready = prepared('guided diffusion', timestep=(90, 300), batch_timesteps=False)
    plain = backbone('guided diffusion', timestep=(90, 300), batch_timesteps=False).eval()
    for x in (images(), images(1)):
        near(flat(ready(x)), flat(plain(x)))


@torch.no_grad()
def test_a_graph_holds_what_it_reads():
    """Such as the noise, which a cache gives up after that of other sizes."""
    ready = prepared('guided diffusion', eval_noise='fixed')
    graphs = graphed(ready)
    for _ in range(CALLS_BEFORE + 1):
        expected = ready(images())
    (graph,) = graphs.graphs.values()
    noise = fixed_noise(0, (1, 3, 32, 64), images().device, torch.float32)
    assert any(tensor is noise for tensor in graph.inputs)
    assert any(tensor is p for tensor in graph.inputs for p in ready.parameters())
    number = len(graph.inputs)
    del noise
    fixed_noise.cache_clear()
    gc.collect()
    torch.randn(1, 3, 32, 64)
    same(ready(images()), expected, tolerance=0)
    # And nothing of what comes and goes on the way.
    assert number <= len(list(ready.parameters())) + len(list(ready.buffers())) + 100


@torch.no_grad()
def test_maps_are_not_overwritten_by_the_next_images():
    ready = prepared('guided diffusion')
    graphed(ready)
    for _ in range(CALLS_BEFORE + 1):
        maps = ready(images())
    kept = [m.clone() for m in maps]
    ready(images().flip(0))
    same(maps, kept, tolerance=0)


@torch.no_grad()
def test_where_capturing_fails_a_warning_says_so(monkeypatch):
    messages = []
    monkeypatch.setattr(cuda_graph, 'print_log', lambda message, **_: messages.append(message))
    ready = prepared('guided diffusion')

    def capture(function, x):
        raise RuntimeError('operation not permitted when stream is capturing')

    expected = ready(images())
    graphed(ready).capture = capture
    for _ in range(CALLS_BEFORE + 3):
        same(ready(images()), expected, tolerance=0)
    (message,) = messages
    assert 'runs without' in message
    assert 'not permitted' in message


def test_gradients_of_images_take_no_graph():
    ready = prepared('guided diffusion')
    for _ in range(CALLS_BEFORE + 2):
        x = images().requires_grad_()
        ready(x)[0].sum().backward()
        assert x.grad.any()
    assert not ready._runs_as_graph(images())


def test_trained_weights_are_refused():
    with pytest.raises(ValueError, match=r'\d+ weights are, such as unet.time_embed.0'):
        backbone('guided diffusion').prepare_for_inference()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@every_family
@torch.no_grad()
def test_captured_graphs_on_a_gpu(family):
    model = backbone(family).eval().cuda()
    ready = copy.deepcopy(model).requires_grad_(False)
    ready.prepare_for_inference()
    for x in [images().cuda()] * (CALLS_BEFORE + 2) + [images().flip(0).cuda()]:
        same(ready(x), model(x))
    assert ready._graphed.works
    assert len(ready._graphed.graphs) == 1
    ready.network.load_state_dict(backbone(family, seed=1).network.state_dict())
    model.network.load_state_dict(ready.network.state_dict())
    for _ in range(CALLS_BEFORE + 2):
        same(ready(images().cuda()), model(images().cuda()))
