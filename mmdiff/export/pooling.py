"""Adaptive average pooling of maps of any size, which ONNX has no operator for."""

import torch
from torch import Tensor, nn


class AdaptiveAvgPool(nn.Module):
    """``nn.AdaptiveAvgPool2d`` as two matrix products, whose matrices are computed from the size.

    Args:
        output_size (int | tuple[int, int]): As of PyTorch's, without None.
    """

    def __init__(self, output_size: int | tuple[int, int]):
        super().__init__()
        self.output_size = (
            (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pool maps of shape (N, C, H, W) to the output size."""
        rows, columns = (
            _shares(side, size, x)
            for side, size in zip(x.shape[-2:], self.output_size, strict=True)
        )
        return rows @ x @ columns.T


def _shares(side: int, size: int, like: Tensor) -> Tensor:
    """The share of each of ``side`` positions in each of ``size`` means."""
    position = torch.arange(side, device=like.device)
    cell = torch.arange(size, device=like.device)[:, None]
    start, end = cell * side // size, ((cell + 1) * side + size - 1) // size
    inside = ((position >= start) & (position < end)).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def pool_any_size(model: nn.Module) -> None:
    """Replace PyTorch's adaptive average pooling in a model.

    Args:
        model (nn.Module): The model.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                setattr(module, name, AdaptiveAvgPool(child.output_size))
