"""Forwards replayed as CUDA graphs, which costs the host one launch in place of hundreds."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.weak import WeakIdKeyDictionary

from mmdiff.diffusion.kept import state_of
from mmdiff.torch_compat import autocast_dtype

# Of a size that comes as often, there is a graph, which takes a few forwards to make.
CALLS_BEFORE = 2
# Each holds the memory of its largest map.
MOST_GRAPHS = 8


class GraphedFunction:
    """A function of images that runs as a CUDA graph where their size comes again.

    A graph reads from and writes to the memory that it was captured with.
    There is one for each size, and new ones after a change of a weight, of its
    memory, or of autocast. Where capturing fails, a warning says so, and all
    runs without.

    Args:
        function (Callable): From images to maps. It must not read values on
            the host, nor depend on anything that changes but its argument and
            the weights.
        module (nn.Module): Whose weights the function uses. Modules in it may
            not be replaced by others afterwards.
        capture (Callable, optional): As :class:`CapturedGraph`, the default.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Sequence[Tensor]],
        module: nn.Module,
        capture: Callable | None = None,
    ):
        self.function = function
        self.module = module
        self.capture = capture or CapturedGraph
        self.weights_state = None
        self.calls = Counter()
        self.graphs = {}
        self.works = True

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """What the function gives, in memory of its own.

        Args:
            images (Tensor): Shape (N, 3, H, W).

        Returns:
            Sequence[Tensor]: The maps.
        """
        self._let_go_of_changed_weights()
        key = self._key(images)
        if key not in self.graphs and self._should_capture(key):
            self._add_graph(key, images)
        self.calls[key] += 1
        graph = self.graphs.get(key)
        return self.function(images) if graph is None else graph(images)

    def __reduce__(self):
        # A copy has other weights, and no graphs.
        return type(self), (self.function, self.module, self.capture)

    @cached_property
    def _weights(self) -> list[dict[str, Tensor | None]]:
        """Of all modules, over which to walk at each call would take as long as a small forward."""
        return [d for m in self.module.modules() for d in (m._parameters, m._buffers)]

    def _let_go_of_changed_weights(self) -> None:
        state = state_of(t for d in self._weights for t in d.values() if t is not None)
        if state != self.weights_state:
            self.graphs.clear()
            self.weights_state = state

    def _key(self, images: Tensor) -> Hashable:
        return images.shape, images.dtype, images.device, autocast_dtype(images.device.type)

    def _should_capture(self, key: Hashable) -> bool:
        return self.works and self.calls[key] >= CALLS_BEFORE and len(self.graphs) < MOST_GRAPHS

    def _add_graph(self, key: Hashable, images: Tensor) -> None:
        try:
            self.graphs[key] = self.capture(self.function, images)
        except RuntimeError as error:
            self.works = False
            print_log(
                f'No CUDA graph could be captured of images of shape {tuple(images.shape)}, and '
                f'the backbone runs without, slower with small batches: {error}',
                logger='current',
                level=logging.WARNING,
            )


class CapturedGraph:
    """A CUDA graph of a function of images of one size.

    Args:
        function (Callable): From images to maps.
        images (Tensor): Images of the size, shape (N, 3, H, W).
    """

    def __init__(self, function: Callable[[Tensor], Sequence[Tensor]], images: Tensor):
        self.images = images.clone()
        stream = torch.cuda.Stream(images.device)
        stream.wait_stream(torch.cuda.current_stream(images.device))
        with torch.cuda.stream(stream):
            # Libraries set themselves up for a stream, which cannot be captured.
            function(self.images)
        torch.cuda.current_stream(images.device).wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        # Threads that load images may go on.
        with torch.cuda.graph(self.graph, capture_error_mode='thread_local'), Inputs() as inputs:
            self.maps = function(self.images)
        self.inputs = inputs.tensors

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        """Replay it.

        Args:
            images (Tensor): As those of the capture.

        Returns:
            Sequence[Tensor]: The maps, which the next replay leaves alone.
        """
        self.images.copy_(images)
        self.graph.replay()
        return [m.clone() for m in self.maps]


class Inputs(TorchDispatchMode):
    """Holds all tensors that operators read and none of them made.

    A graph reads their memory, such as that of a cached draw of noise, and
    would not notice if it was given to something else.

    Attributes:
        tensors (list[Tensor]): The tensors.
    """

    def __init__(self):
        super().__init__()
        self.tensors = []
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tensor in _tensors_in([args, kwargs]):
            if tensor not in self._known:
                self.tensors.append(tensor)
                self._known[tensor] = True
        out = func(*args, **kwargs)
        for tensor in _tensors_in(out):
            self._known[tensor] = True
        return out


def _tensors_in(tree) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if torch.is_tensor(leaf)]
