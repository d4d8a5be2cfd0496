"""Results that are computed once, for tensors that come again: embeddings of fixed timesteps."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..torch_compat import autocast_dtype

# Of a few timesteps, or batches of them.
MOST_RESULTS = 16


def state_of(tensors: Iterable[Tensor]) -> Hashable:
    """What changes when one of some tensors is changed in place, or gets other memory.

    Args:
        tensors (Iterable[Tensor]): The tensors, on any device, which is not
            asked for values.

    Returns:
        Hashable: Equal to that of another time as long as nothing changed.
    """
    # Of those made in inference mode, PyTorch counts no changes.
    return tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)


class KeepsResults(nn.Module):
    """A module that can keep what it makes of embeddings, see :meth:`keep_results`."""

    _results: dict | None = None

    def keep_results(self) -> None:
        """Compute anew from now on only what changed: an input, a weight, or autocast.

        Inputs are told apart as tensors, not by their values. For inference:
        what is kept has no gradient.
        """
        self._results = {}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        if self._results is not None:
            # In a copy, other tensors may have the ids by which they are found.
            self._results = {}

    def kept(self, layers: nn.Module | Iterable[nn.Module], function: Callable, *inputs) -> Any:
        """The result of a function, which may be an earlier one.

        Args:
            layers (nn.Module | Iterable[nn.Module]): Whose weights it uses.
            function (Callable): The function.
            *inputs (Tensor | None): What it takes.

        Returns:
            Any: What it gives.
        """
        if self._results is None:
            return function(*inputs)
        layers = [layers] if isinstance(layers, nn.Module) else list(layers)
        key = _key(layers, inputs)
        if key not in self._results:
            if len(self._results) == MOST_RESULTS:
                self._results.clear()
            with torch.no_grad():
                result = function(*inputs)
            # Weights may have been packed meanwhile.
            key = _key(layers, inputs)
            # With the inputs, as another tensor may get the place of one that is gone.
            self._results[key] = result, inputs
        return self._results[key][0]


def _key(layers: Iterable[nn.Module], inputs: tuple[Tensor | None, ...]) -> Hashable:
    """What a result depends on."""
    weights = [p for layer in layers for p in layer.parameters()]
    tensors = [t for t in inputs if t is not None]
    ids = tuple(map(id, inputs))
    return ids, state_of(tensors + weights), autocast_dtype(tensors[0].device.type)
