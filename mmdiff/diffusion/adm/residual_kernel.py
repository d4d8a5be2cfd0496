"""The end of a residual block on a GPU, as a Triton kernel: one pass in place of three.

PyTorch adds the bias of a convolution, and that of the skip connection's, in passes of their own.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048


@triton.jit
def _add_kernel(h_ptr, skip_ptr, bias_ptr, size, channels, TILE: tl.constexpr):
    # 64 bits: large batches of large maps have more than 2^31 values.
    places = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = places < size
    h = tl.load(h_ptr + places, mask=inside, other=0.0).to(tl.float32)
    h += tl.load(skip_ptr + places, mask=inside, other=0.0).to(tl.float32)
    h += tl.load(bias_ptr + places % channels, mask=inside, other=0.0).to(tl.float32)
    tl.store(h_ptr + places, h, mask=inside)


def add_residual(h: Tensor, skip: Tensor, bias: Tensor) -> Tensor:
    """The sum of two maps and a bias, in the memory of the first.

    Args:
        h (Tensor): Shape (N, C, H, W), of which nothing else needs the values.
        skip (Tensor): Likewise, but kept.
        bias (Tensor): Shape (C, ).

    Returns:
        Tensor: Of the shape of ``h``, channels_last, of the larger dtype of
        the maps.
    """
    h = h.to(torch.promote_types(h.dtype, skip.dtype), memory_format=torch.channels_last)
    return _AddResidual.apply(h, skip, bias)


class _AddResidual(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h, skip, bias):
        ctx.dtypes = h.dtype, skip.dtype, bias.dtype
        add_(h, skip.contiguous(memory_format=torch.channels_last), bias)
        ctx.mark_dirty(h)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        of_h, of_skip, of_bias = ctx.dtypes
        return gradient.to(of_h), gradient.to(of_skip), gradient.sum((0, 2, 3)).to(of_bias)


@torch.library.custom_op('mmdiff::add_residual_', mutates_args=('h',))
def add_(h: Tensor, skip: Tensor, bias: Tensor) -> None:
    """Add a map and a bias to a map.

    Args:
        h (Tensor): Shape (N, C, H, W), channels_last, changed in place.
        skip (Tensor): Likewise, not changed.
        bias (Tensor): Shape (C, ).
    """
    size = h.numel()
    _add_kernel[(triton.cdiv(size, TILE),)](h, skip, bias, size, h.shape[1], TILE=TILE)


@add_.register_fake
def _(h, skip, bias):
    return None
