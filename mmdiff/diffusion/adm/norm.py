"""The norm of the residual blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .layout import has_norm_kernels


class GroupNorm32(nn.GroupNorm):
    """GroupNorm of 32 groups that computes in float32 at any input dtype.

    Args:
        channels (int): Channels, a multiple of 32.
    """

    def __init__(self, channels: int):
        super().__init__(32, channels)

    def forward(
        self,
        x: Tensor,
        scale: Tensor | None = None,
        shift: Tensor | None = None,
        silu: bool = False,
        addend: Tensor | None = None,
    ) -> Tensor:
        """Normalise, and multiply by 1 + ``scale`` and add ``shift`` if given.

        Args:
            x (Tensor): Shape (N, C, ...).
            scale (Tensor, optional): Shape (N, C), or (1, C) for all alike.
            shift (Tensor, optional): Of the shape of ``scale``.
            silu (bool): Apply SiLU to that. Defaults to False.
            addend (Tensor, optional): Added to ``x`` before, shape (N, C), or
                (1, C) for all alike.

        Returns:
            Tensor: Of the shape and dtype of ``x``.
        """
        weight, bias = self.weight, self.bias
        shape = (..., *[None] * (x.dim() - 2))
        if has_norm_kernels(x.device.type):
            # Not before: it imports Triton.
            from .norm_kernels import group_norm

            return group_norm(
                x, self.num_groups, weight, bias, scale, shift, self.eps, silu, addend
            )
        if addend is not None:
            x = x + addend.type(x.dtype)[shape]
        same_for_all = scale is not None and len(scale) == 1
        if same_for_all:
            # A pass over the map less than to scale and shift it afterwards.
            factor = 1 + scale[0].float()
            weight, bias = weight * factor, bias * factor + shift[0].float()
        # PyTorch's own sums are float32 there, without a copy of the map.
        keeps_half = x.dtype == torch.bfloat16 and x.device.type == 'cpu'
        h = x if keeps_half and not _needs_gradient(x, weight) else x.float()
        if scale is None or same_for_all:
            h = _group_norm(h, self.num_groups, weight, bias, self.eps, silu)
        else:
            h = _group_norm(h, self.num_groups, weight, bias, self.eps)
            h = torch.addcmul(shift.float()[shape], h, 1 + scale.float()[shape])
            h = _silu(h) if silu else h
        return h.type(x.dtype)

    def pooled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise, apply SiLU and pool 2x2; and pool the map itself.

        It has no gradient, and wants the kernels of ``norm_kernels.py``.

        Args:
            x (Tensor): Shape (N, C, H, W).

        Returns:
            tuple[Tensor, Tensor]: Each of shape (N, C, H // 2, W // 2).
        """
        from .norm_kernels import pooled_group_norm

        return pooled_group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def _needs_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _silu(h: Tensor) -> Tensor:
    """SiLU of what nothing else refers to: in its memory, unless autograd keeps it."""
    return F.silu(h, inplace=not h.requires_grad)


def _group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, silu: bool = False
) -> Tensor:
    if _needs_gradient(x, weight, bias) and x.device.type == 'cpu' and x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
        return _ChannelsLastGroupNorm.apply(x, groups, weight, bias, eps, silu)
    h = F.group_norm(x, groups, weight, bias, eps)
    return _silu(h) if silu else h


class _ChannelsLastGroupNorm(torch.autograd.Function):
    """PyTorch's, and SiLU, with a backward that always asks for all gradients.

    On the CPU, that of PyTorch (2.13 at least) crashes the process on a
    channels_last input of which no gradient is asked: after frozen blocks,
    or when ``torch.autograd.grad`` is asked for some parameters.

    The normalised map, which SiLU's backward wants, is computed again rather
    than kept: a third less to keep for a little more time.
    """

    @staticmethod
    def forward(ctx, x, groups, weight, bias, eps, silu):
        ctx.sizes = (len(x), x.shape[1], x[0, 0].numel(), groups)
        ctx.eps, ctx.silu = eps, silu
        h, mean, rstd = torch.native_group_norm(x, weight, bias, *ctx.sizes, eps)
        ctx.save_for_backward(x, mean, rstd, weight, bias)
        return F.silu(h, inplace=True) if silu else h

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, mean, rstd, weight, bias = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        if ctx.silu:
            h = torch.native_group_norm(x, weight, bias, *ctx.sizes, ctx.eps)[0]
            gradient = torch.ops.aten.silu_backward(gradient, h)
        if x.shape[1] // ctx.sizes[-1] < 8:
            gradients = _channels_last_backward(gradient, x, mean, rstd, weight)
        else:
            gradients = torch.ops.aten.native_group_norm_backward(
                gradient, x, mean, rstd, weight, *ctx.sizes, [True, True, True]
            )
        of_x, of_weight, of_bias = gradients
        return of_x, None, of_weight, of_bias, None, None


def _channels_last_backward(
    gradient: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a group norm of few channels a group, on channels_last maps.

    PyTorch's backward (2.13) goes through the channels of one group at a time,
    ten times slower than its forward where a group has two.

    Args:
        gradient (Tensor): Of the output, shape (N, C, H, W).
        x (Tensor): The input, of that shape.
        mean (Tensor): Of each group, shape (N, G).
        rstd (Tensor): One over the standard deviation of each group, shape (N, G).
        weight (Tensor): Shape (C,).

    Returns:
        tuple[Tensor, Tensor, Tensor]: Of ``x``, of the weight and of the bias.
    """
    height, width = x.shape[2:]
    gradient, x = (t.permute(0, 2, 3, 1).flatten(1, 2) for t in (gradient, x))
    # Sums over a map, then per group: shape (N, G, C // G).
    groups = (*mean.shape, -1)
    of_shift = gradient.sum(1).view(groups)
    of_scale = (gradient * x).sum(1).view(groups)
    weight, mean, rstd = weight.view(len(mean[0]), -1), mean[..., None], rstd[..., None]
    size = weight.shape[1] * height * width
    shift = (of_shift * weight).sum(2, keepdim=True) * rstd / size
    scale = (of_scale * weight).sum(2, keepdim=True) * rstd / size - shift * mean
    factor = -scale * rstd**2
    offset = -factor * mean - shift
    per_channel = [t.expand(of_shift.shape).flatten(1)[:, None] for t in (offset, factor)]
    of_x = torch.addcmul(per_channel[0], x, per_channel[1])
    of_x.addcmul_(gradient, (rstd * weight).flatten(1)[:, None])
    of_x = of_x.unflatten(1, (height, width)).permute(0, 3, 1, 2)
    of_weight = ((of_scale - mean * of_shift) * rstd).sum(0)
    return of_x, of_weight.flatten(), of_shift.sum(0).flatten()
