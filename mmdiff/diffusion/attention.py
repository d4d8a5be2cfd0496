"""Attention, on CPUs in oneDNN where that is faster than PyTorch's fused kernel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..torch_compat import autocast_dtype, is_compiling
from .packing import runs_in_onednn

# From how many scores of a head on it is faster (docs/performance_notes.md): a call has its price.
LEAST_SCORES = {torch.float32: 512**2, torch.bfloat16: 256**2}
# As many queries at a time as keep their scores in the caches.
ROWS = 512


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As ``torch.nn.functional.scaled_dot_product_attention``.

    Args:
        q (Tensor): Queries, shape (N, heads, T, D).
        k (Tensor): Keys, shape (N, heads, S, D).
        v (Tensor): Values, shape (N, heads, S, D).

    Returns:
        Tensor: Shape (N, heads, T, D).
    """
    if not _is_faster_in_onednn(q, k, v):
        return F.scaled_dot_product_attention(q, k, v)
    out = torch.empty_like(q)
    q = q * q.shape[-1] ** -0.5
    # A linear layer's weights, whose inputs are side by side.
    k, v = k.contiguous(), v.transpose(-1, -2).contiguous()
    for image in range(len(q)):
        for head in range(q.shape[1]):
            for rows, attended in zip(
                q[image, head].split(ROWS), out[image, head].split(ROWS), strict=True
            ):
                weights = _linear(rows, k[image, head]).softmax(-1)
                attended.copy_(_linear(weights, v[image, head]))
    return out


def _linear(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, 'none', [], '')


def _is_faster_in_onednn(q: Tensor, k: Tensor, v: Tensor) -> bool:
    return (
        not is_compiling()
        and runs_in_onednn(q.device, q.dtype)
        and q.shape[-2] * k.shape[-2] >= LEAST_SCORES[q.dtype]
        and q.dtype == k.dtype == v.dtype
        and autocast_dtype('cpu') in (None, q.dtype)
        and not (torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)))
    )


class AttentionProcessor:
    """Attention of diffusers' transformers for images, by :func:`attend`."""

    def __call__(
        self,
        attention: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Attend.

        Args:
            attention (Module): diffusers' ``Attention``, of a transformer.
            hidden_states (Tensor): The positions of the maps, shape (N, T, C).
            encoder_hidden_states (Tensor, optional): What they attend to,
                shape (N, S, C'). Defaults to None: themselves.
            attention_mask (Tensor, optional): Stable Diffusion has none.
                Defaults to None.

        Returns:
            Tensor: Shape (N, T, C).

        Raises:
            NotImplementedError: If there is a mask.
        """
        if attention_mask is not None:
            raise NotImplementedError('attention_mask must be None')
        others = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q = attention.to_q(hidden_states)
        k, v = attention.to_k(others), attention.to_v(others)
        q, k, v = (x.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for x in (q, k, v))
        x = attend(q, k, v).transpose(1, 2).flatten(2)
        for layer in attention.to_out:
            x = layer(x)
        return x
