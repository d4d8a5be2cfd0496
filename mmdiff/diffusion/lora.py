"""Low-rank adapters (LoRA) of a frozen denoiser's convolutions and linear layers.

Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, https://arxiv.org/abs/2106.09685.
Why no library is used: docs/lora.md.
"""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn

from .denoiser import Denoiser

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


class LoRA(nn.Module):
    """What is added to the output of a layer: a narrow layer of its kind, then one to its width.

    The former has the layer's kernel, stride and padding, the latter is
    pointwise and starts from zero.

    Args:
        layer (Conv1d | Conv2d | Linear): The layer, of one group.
        rank (int): Channels between the two.
    """

    def __init__(self, layer: nn.Module, rank: int):
        super().__init__()
        if isinstance(layer, nn.Linear):
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        else:
            conv = nn.Conv1d if isinstance(layer, nn.Conv1d) else nn.Conv2d
            self.down = conv(
                layer.in_channels, rank, layer.kernel_size, layer.stride, layer.padding, bias=False
            )
            self.up = conv(rank, layer.out_channels, 1, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))

    def attach_to(self, layer: nn.Module) -> None:
        """Become a part of its layer, ``lora``, and of what that gives.

        Args:
            layer (Conv1d | Conv2d | Linear): The layer.
        """
        layer.lora = self
        # A module around the layer would give its weights other names.
        self.hook = layer.register_forward_hook(_add_update)

    @torch.no_grad()
    def merge_into(self, layer: nn.Module) -> None:
        """Add it to the weights of its layer, and remove it.

        Args:
            layer (Conv1d | Conv2d | Linear): The layer.
        """
        update = self.up.weight.flatten(1) @ self.down.weight.flatten(1)
        layer.weight.add_(update.view(layer.weight.shape))
        self.hook.remove()
        del layer.lora


def _add_update(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output + layer.lora(inputs[0])


def add_lora(network: Denoiser, rank: int, blocks: Collection[int]) -> None:
    """Give the layers of some blocks adapters, which start as zero and are trained.

    All convolutions and linear layers get one, but for
    ``network.embedding_layers``.

    Args:
        network (Denoiser): The network, frozen.
        rank (int): As of :class:`LoRA`.
        blocks (Collection[int]): Numbers of the blocks.
    """
    chosen = [block for n, block in enumerate(network.blocks(), start=1) if n in blocks]
    for layer in [layer for block in chosen for layer in _adaptable(block, network)]:
        LoRA(layer, rank).attach_to(layer)


def _adaptable(module: nn.Module, network: Denoiser) -> Iterator[nn.Module]:
    """The layers in a module that take maps or tokens."""
    for name, child in module.named_children():
        if name in network.embedding_layers:
            continue
        if isinstance(child, LAYERS):
            yield child
        else:
            yield from _adaptable(child, network)


def merge_lora(network: nn.Module) -> None:
    """Add adapters to the weights of their layers, and remove them: the same function, faster.

    Args:
        network (Module): A network, with or without adapters.
    """
    for layer in [m for m in network.modules() if isinstance(m, LAYERS) and hasattr(m, 'lora')]:
        layer.lora.merge_into(layer)


def is_of_lora(key: str) -> bool:
    """Whether a weight in a state dict is an adapter's.

    Args:
        key (str): Its name.

    Returns:
        bool: Whether it is.
    """
    return '.lora.' in key


def adapted_weight(key: str) -> str:
    """The weight in a state dict to whose layer an adapter belongs.

    Args:
        key (str): The name of one of the adapter's weights.

    Returns:
        str: The name of the layer's.
    """
    return key.rpartition('.lora.')[0] + '.weight'
