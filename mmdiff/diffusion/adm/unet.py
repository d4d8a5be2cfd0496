"""The ADM U-Net, with the features of its blocks as the main output.

Parameter names equal guided-diffusion's, so that state dicts go both ways.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...torch_compat import is_compiling
from ..attention import attend
from ..embedding import time_vectors
from ..kept import KeepsResults
from ..unet import Activation, UNetDenoiser
from .arch import Architecture, Block
from .conv import Conv2d
from .layout import has_norm_kernels, memory_format
from .norm import GroupNorm32


class Downsample(nn.Module):
    """Halve the size with a strided convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """Double the size (nearest neighbour), then convolve."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(_double(x))


class ResBlock(KeepsResults):
    """Residual block, conditioned on the time embedding.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the output.
        arch (Architecture): Gives the width of the embedding, the dropout
            rate and how the embedding enters.
        resample (str, optional): ``'down'`` halves and ``'up'`` doubles the
            size, inside the block. Defaults to None.
    """

    def __init__(
        self, in_channels: int, channels: int, arch: Architecture, resample: str | None = None
    ):
        super().__init__()
        self.use_scale_shift_norm = arch.use_scale_shift_norm
        self.resample = {None: nn.Identity(), 'down': _Halve(), 'up': _Double()}[resample]
        self.in_layers = nn.Sequential(
            GroupNorm32(in_channels), nn.SiLU(), Conv2d(in_channels, channels)
        )
        self.emb_layers = nn.Sequential(
            nn.SiLU(),
            nn.Linear(4 * arch.model_channels, channels * (2 if arch.use_scale_shift_norm else 1)),
        )
        self.out_layers = nn.Sequential(
            GroupNorm32(channels),
            nn.SiLU(),
            nn.Dropout(arch.dropout),
            _zero(Conv2d(channels, channels)),
        )
        self.skip_connection = (
            nn.Identity() if in_channels == channels else Conv2d(in_channels, channels, 1)
        )

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        if has_norm_kernels(x.device.type):
            return self._with_kernels(x, emb)
        norm, _, conv = self.in_layers
        h = conv(self.resample(norm(x, silu=True)))
        emb = self.kept(self.emb_layers, self.emb_layers, emb)
        norm, _, dropout, conv = self.out_layers
        if self.use_scale_shift_norm:
            h = norm(h, *emb.chunk(2, dim=1), silu=True)
        else:
            h = norm(h, silu=True, addend=emb)
        h = conv(dropout(h))
        skip = self.skip_connection(self.resample(x))
        return h + skip if h.requires_grad or h.dtype != skip.dtype else h.add_(skip)

    def _with_kernels(self, x: Tensor, emb: Tensor) -> Tensor:
        """The same in fewer passes over the map: biases are added, and maps pooled, on the way."""
        # Not before: it imports Triton.
        from .residual_kernel import add_residual

        norm, _, conv = self.in_layers
        needs_gradient = torch.is_grad_enabled() and (x.requires_grad or norm.weight.requires_grad)
        if isinstance(self.resample, _Halve) and not needs_gradient:
            h, skip = norm.pooled(x)
        else:
            h, skip = self.resample(norm(x, silu=True)), self.resample(x)
        h = conv(h, add_bias=False)
        emb = self.kept(self.emb_layers, self.emb_layers, emb)
        norm, _, dropout, out_conv = self.out_layers
        if self.use_scale_shift_norm:
            h = norm(h, *emb.chunk(2, dim=1), silu=True, addend=conv.bias[None])
        else:
            h = norm(h, silu=True, addend=emb + conv.bias)
        h, bias = out_conv(dropout(h), add_bias=False), out_conv.bias
        if isinstance(self.skip_connection, Conv2d):
            skip = self.skip_connection(skip, add_bias=False)
            bias = bias + self.skip_connection.bias
        return add_residual(h, skip, bias)


class AttentionBlock(nn.Module):
    """Self-attention over all positions, with a residual connection.

    Args:
        channels (int): Channels of the input and the output.
        arch (Architecture): Gives the heads and their order in the
            projection.
    """

    def __init__(self, channels: int, arch: Architecture):
        super().__init__()
        head_channels = arch.num_head_channels
        self.num_heads = channels // head_channels if head_channels else arch.num_heads
        self.use_new_attention_order = arch.use_new_attention_order
        self.norm = GroupNorm32(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = _zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        qkv = self.qkv(self.norm(x).flatten(2))
        if self.use_new_attention_order:
            qkv = qkv.reshape(n, 3, self.num_heads, -1, h * w).transpose(1, 2)
        else:
            qkv = qkv.reshape(n, self.num_heads, 3, -1, h * w)
        qkv = qkv.transpose(-1, -2)
        # Fused attention kernels want the channels of a head side by side.
        q, k, v = (qkv if qkv.stride(-1) == 1 else qkv.contiguous()).unbind(2)
        attended = attend(q, k, v)
        attended = attended.transpose(-1, -2).reshape(n, c, h * w)
        return x + self.proj_out(attended).reshape(x.shape)


class BlockLayers(nn.Sequential):
    """The layers of one numbered block, in turn."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, emb) if isinstance(layer, ResBlock) else layer(x)
        return x


class UNet(UNetDenoiser):
    """ADM U-Net: features of any set of blocks in one walk over the blocks.

    Its condition are class indices, of the shape of ``timesteps``; None leaves
    the class out.

    Args:
        arch (Architecture): The architecture.
        last_block (int, optional): The deepest block to build. Later blocks
            and the output layer do not exist then. Defaults to None: all.
        gradient_checkpointing (bool): Keep only the outputs of blocks in the
            forward and compute the rest again in the backward: less memory
            for more time. Defaults to False.

    Raises:
        TypeError: If ``last_block`` is not an integer.
        ValueError: If the architecture has no such block.
    """

    marks = ('time_embed.0.weight',)
    embedding_layers = ('emb_layers',)

    def __init__(
        self,
        arch: Architecture,
        last_block: int | None = None,
        gradient_checkpointing: bool = False,
    ):
        super().__init__(arch, last_block, gradient_checkpointing)
        width = 4 * arch.model_channels
        self.time_embed = nn.Sequential(
            nn.Linear(arch.model_channels, width), nn.SiLU(), nn.Linear(width, width)
        )
        if arch.num_classes is not None:
            self.label_emb = nn.Embedding(arch.num_classes, width)
        built = [self._build(block) for block in arch.blocks[: self.last_block]]
        self.input_blocks = nn.ModuleList(built[: arch.middle - 1])
        self.middle_block = built[arch.middle - 1] if self.last_block >= arch.middle else None
        self.output_blocks = nn.ModuleList(built[arch.middle :])
        self.out = self._build_output() if last_block is None else None
        self._lay_out()

    def _apply(self, fn: Callable, recurse: bool = True) -> 'UNet':
        # What ``to`` and its like call, of this module or of one around it.
        super()._apply(fn, recurse)
        self._lay_out()
        return self

    def _lay_out(self) -> None:
        """Bring the weights into the device's layout."""
        for parameter in self.parameters():
            if parameter.dim() == 4:
                layout = memory_format(parameter.device)
                parameter.data = parameter.data.contiguous(memory_format=layout)

    def _build(self, block: Block) -> BlockLayers:
        arch = self.arch
        if block.number == 1:
            return BlockLayers(nn.Conv2d(block.in_channels, block.channels, 3, padding=1))
        if block.resample == 'down':
            return BlockLayers(self._resampler(block))
        layers = [ResBlock(block.in_channels, block.channels, arch)]
        if block.attention:
            layers.append(AttentionBlock(block.channels, arch))
        if block.number == arch.middle:
            layers.append(ResBlock(block.channels, block.channels, arch))
        if block.resample == 'up':
            layers.append(self._resampler(block))
        return BlockLayers(*layers)

    def _build_output(self) -> nn.Module:
        channels = self.arch.blocks[-1].channels
        return nn.Sequential(
            GroupNorm32(channels),
            nn.SiLU(),
            _zero(nn.Conv2d(channels, 6 if self.arch.learn_sigma else 3, 3, padding=1)),
        )

    def _resampler(self, block: Block) -> nn.Module:
        if self.arch.resblock_updown:
            return ResBlock(block.channels, block.channels, self.arch, block.resample)
        return {'down': Downsample, 'up': Upsample}[block.resample](block.channels)

    def blocks(self) -> Iterator[BlockLayers]:
        """The blocks that are built, in the paper's order."""
        yield from self.input_blocks
        if self.middle_block is not None:
            yield self.middle_block
        yield from self.output_blocks

    def embeddings(self) -> Iterator[nn.Module]:
        """What embeds timesteps and classes."""
        yield self.time_embed
        if self.arch.num_classes is not None:
            yield self.label_emb

    def forward(self, x_t: Tensor, timesteps: Tensor, labels: Tensor | None = None) -> Tensor:
        """Predict the noise, and the variance where the model learns it.

        Args:
            x_t (Tensor): Noised images, shape (N, 3, H, W), with sides that
                are multiples of the architecture's ``total_stride``.
            timesteps (Tensor): Shape (N, ), or (1, ) for all alike, from 0 to
                999. The latter is faster.
            labels (Tensor, optional): Class indices, of the shape of
                ``timesteps``, for a class-conditional model. None leaves the
                class out.

        Returns:
            Tensor: Shape (N, 3 or 6, H, W).

        Raises:
            RuntimeError: If the last blocks are not built.
        """
        if self.out is None:
            raise RuntimeError(
                f'this U-Net ends with block {self.last_block}, so it has features but no output; '
                'build it with last_block=None'
            )
        (h,) = self.features(x_t, timesteps, (self.last_block,), labels)
        return self.out(h)

    def _start(self, x_t: Tensor, timesteps: Tensor, labels: Tensor | None) -> Activation:
        return super()._start(
            x_t.contiguous(memory_format=memory_format(x_t.device)), timesteps, labels
        )

    def context(
        self, timesteps: Tensor, labels: Tensor | None, batch_size: int
    ) -> tuple[Tensor, ...]:
        """The embedding of timesteps and labels, see :meth:`embed`."""
        return (self.kept(self.embeddings(), self.embed, timesteps, labels),)

    def embed(self, timesteps: Tensor, labels: Tensor | None = None) -> Tensor:
        """Embed timesteps, and class labels if given.

        Args:
            timesteps (Tensor): Shape (N, ), or as of :func:`time_vectors`.
            labels (Tensor, optional): Class indices, shape (N, ).

        Returns:
            Tensor: Shape (N, 4 * model_channels).

        Raises:
            ValueError: If labels come to an unconditional model.
        """
        emb = self.time_embed(time_vectors(timesteps, self.arch))
        if labels is None:
            return emb
        if self.arch.num_classes is None:
            raise ValueError(f'labels={labels} given, but the model is not class-conditional')
        return emb + self.label_emb(labels)


class _Halve(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad and not is_compiling():
            return _AveragePool.apply(x)
        return F.avg_pool2d(x, 2)


class _AveragePool(torch.autograd.Function):
    """The mean of 2x2 pixels. PyTorch's keeps its input, of which only the shape counts."""

    @staticmethod
    def forward(ctx, x):
        return F.avg_pool2d(x, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return _double(gradient / 4)


class _Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _double(x)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode='nearest')


def _zero(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module
