"""Group norm, scale and shift, and SiLU on channels_last maps, as Triton kernels for a GPU.

PyTorch's CUDA kernel (up to 2.14) knows NCHW alone: in a channels_last U-Net it copies each map
there, and the next convolution copies it back. These read and write a map where it is: one pass for
the statistics and one to apply them, with float32 sums of any dtype.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

# Rows (positions) and channels of the tile that a program holds, and the rows that it adds up.
TILE_ROWS, TILE_CHANNELS, CHUNK_ROWS = 16, 128, 512


@triton.jit
def _offsets(rows, columns, sample, height, channels):
    # 64 bits: large batches of large maps have more than 2^31 values.
    return (sample.to(tl.int64) * height + rows[:, None]) * channels + columns[None, :]


@triton.jit
def _sum_kernel(
    x_ptr, sum_ptr, square_ptr, height, channels, num_chunks,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Sums over a chunk of rows, of each channel's difference to its first value, and its square.

    Without the difference, a mean much larger than the deviation would cancel it out.
    """
    chunk, sample = tl.program_id(0), tl.program_id(2)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    first = tl.arange(0, 1)
    pivot = tl.load(
        x_ptr + _offsets(first, columns, sample, height, channels), mask=inside[None, :], other=0.0
    ).to(tl.float32)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    square = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, CHUNK, ROWS):
        rows = chunk * CHUNK + start + tl.arange(0, ROWS)
        mask = (rows < height)[:, None] & inside[None, :]
        x = tl.load(
            x_ptr + _offsets(rows, columns, sample, height, channels), mask=mask, other=0.0
        ).to(tl.float32)
        x = tl.where(mask, x - pivot, 0.0)
        total += x
        square += x * x
    place = (sample * num_chunks + chunk) * channels + columns
    tl.store(sum_ptr + place, tl.sum(total, 0), mask=inside)
    tl.store(square_ptr + place, tl.sum(square, 0), mask=inside)


@triton.jit
def _coefficient_kernel(
    x_ptr, sum_ptr, square_ptr, weight_ptr, bias_ptr, scale_ptr, shift_ptr,
    mean_ptr, rstd_ptr, factor_ptr, offset_ptr,
    height, channels, num_chunks, scale_stride, eps,
    GROUPS: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    """Mean and deviation of a group, and the factor and offset of each of its channels."""
    group, sample = tl.program_id(0), tl.program_id(1)
    lanes = tl.arange(0, BLOCK)
    inside = lanes < WIDTH
    columns = group * WIDTH + lanes
    total = tl.zeros((BLOCK,), tl.float32)
    square = tl.zeros((BLOCK,), tl.float32)
    for chunk in range(num_chunks):
        place = (sample * num_chunks + chunk) * channels + columns
        total += tl.load(sum_ptr + place, mask=inside, other=0.0)
        square += tl.load(square_ptr + place, mask=inside, other=0.0)
    pivot = tl.load(
        x_ptr + sample.to(tl.int64) * height * channels + columns, mask=inside, other=0.0
    ).to(tl.float32)
    means = pivot + total / height
    squares = square - total * total / height
    # Differences to one of the means, for the same reason as above.
    nearby = tl.sum(tl.where(lanes == 0, means, 0.0), 0)
    mean = nearby + tl.sum(tl.where(inside, means - nearby, 0.0), 0) / WIDTH
    apart = tl.where(inside, means - mean, 0.0)
    variance = tl.sum(tl.where(inside, squares, 0.0) + height * apart * apart, 0)
    rstd = 1.0 / tl.sqrt(tl.maximum(variance / (height * WIDTH), 0.0) + eps)
    tl.store(mean_ptr + sample * GROUPS + group, mean)
    tl.store(rstd_ptr + sample * GROUPS + group, rstd)
    factor = tl.load(weight_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    offset = tl.load(bias_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    if SCALED:
        place = sample * scale_stride + columns
        scale = 1.0 + tl.load(scale_ptr + place, mask=inside, other=0.0).to(tl.float32)
        factor = factor * scale
        offset = offset * scale + tl.load(shift_ptr + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(factor_ptr + sample * channels + columns, factor, mask=inside)
    tl.store(offset_ptr + sample * channels + columns, offset, mask=inside)


@triton.jit
def _normalised(x_ptr, mean_ptr, rstd_ptr, rows, columns, sample, height, channels, mask,
                GROUPS: tl.constexpr, WIDTH: tl.constexpr):  # fmt: skip
    x = tl.load(x_ptr + _offsets(rows, columns, sample, height, channels), mask=mask, other=0.0).to(
        tl.float32
    )
    group = sample * GROUPS + columns // WIDTH
    inside = columns < channels
    mean = tl.load(mean_ptr + group, mask=inside, other=0.0)
    rstd = tl.load(rstd_ptr + group, mask=inside, other=0.0)
    return (x - mean[None, :]) * rstd[None, :], rstd


@triton.jit
def _apply_kernel(
    x_ptr, y_ptr, mean_ptr, rstd_ptr, factor_ptr, offset_ptr, height, channels,
    GROUPS: tl.constexpr, WIDTH: tl.constexpr, SILU: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(2)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    mask = (rows < height)[:, None] & inside[None, :]
    y, _ = _normalised(
        x_ptr, mean_ptr, rstd_ptr, rows, columns, sample, height, channels, mask, GROUPS, WIDTH
    )
    factor = tl.load(factor_ptr + sample * channels + columns, mask=inside, other=0.0)
    offset = tl.load(offset_ptr + sample * channels + columns, mask=inside, other=0.0)
    y = y * factor[None, :] + offset[None, :]
    if SILU:
        y = y / (1.0 + tl.exp(-y))
    tl.store(y_ptr + _offsets(rows, columns, sample, height, channels), y, mask=mask)


@triton.jit
def _gradient_of_z(gradient_ptr, z, rows, columns, sample, height, channels, mask,
                   SILU: tl.constexpr):  # fmt: skip
    gradient = tl.load(
        gradient_ptr + _offsets(rows, columns, sample, height, channels), mask=mask, other=0.0
    ).to(tl.float32)
    if SILU:
        sigmoid = 1.0 / (1.0 + tl.exp(-z))
        gradient = gradient * sigmoid * (1.0 + z * (1.0 - sigmoid))
    return gradient


@triton.jit
def _gradient_sum_kernel(
    x_ptr, gradient_ptr, mean_ptr, rstd_ptr, factor_ptr, offset_ptr, sum_ptr, product_ptr,
    height, channels, num_chunks,
    GROUPS: tl.constexpr, WIDTH: tl.constexpr, SILU: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Sums over a chunk of rows: of the gradient before SiLU, and of it times the norm."""
    chunk, sample = tl.program_id(0), tl.program_id(2)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    factor = tl.load(factor_ptr + sample * channels + columns, mask=inside, other=0.0)
    offset = tl.load(offset_ptr + sample * channels + columns, mask=inside, other=0.0)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, CHUNK, ROWS):
        rows = chunk * CHUNK + start + tl.arange(0, ROWS)
        mask = (rows < height)[:, None] & inside[None, :]
        x, _ = _normalised(
            x_ptr, mean_ptr, rstd_ptr, rows, columns, sample, height, channels, mask, GROUPS, WIDTH
        )
        z = x * factor[None, :] + offset[None, :]
        gradient = _gradient_of_z(
            gradient_ptr, z, rows, columns, sample, height, channels, mask, SILU
        )
        total += gradient
        product += tl.where(mask, gradient * x, 0.0)
    place = (sample * num_chunks + chunk) * channels + columns
    tl.store(sum_ptr + place, tl.sum(total, 0), mask=inside)
    tl.store(product_ptr + place, tl.sum(product, 0), mask=inside)


@triton.jit
def _gradient_kernel(
    x_ptr, gradient_ptr, result_ptr, mean_ptr, rstd_ptr, factor_ptr, offset_ptr,
    group_sum_ptr, group_product_ptr, height, channels,
    GROUPS: tl.constexpr, WIDTH: tl.constexpr, SILU: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The gradient of the input."""
    sample = tl.program_id(2)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    mask = (rows < height)[:, None] & inside[None, :]
    x, rstd = _normalised(
        x_ptr, mean_ptr, rstd_ptr, rows, columns, sample, height, channels, mask, GROUPS, WIDTH
    )
    factor = tl.load(factor_ptr + sample * channels + columns, mask=inside, other=0.0)
    offset = tl.load(offset_ptr + sample * channels + columns, mask=inside, other=0.0)
    group = sample * GROUPS + columns // WIDTH
    total = tl.load(group_sum_ptr + group, mask=inside, other=0.0)
    product = tl.load(group_product_ptr + group, mask=inside, other=0.0)
    z = x * factor[None, :] + offset[None, :]
    gradient = _gradient_of_z(gradient_ptr, z, rows, columns, sample, height, channels, mask, SILU)
    gradient = gradient * factor[None, :] - total[None, :] - x * product[None, :]
    tl.store(
        result_ptr + _offsets(rows, columns, sample, height, channels),
        gradient * rstd[None, :],
        mask=mask,
    )


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    eps: float,
    silu: bool,
) -> Tensor:
    """Group norm, times 1 + ``scale`` plus ``shift``, then SiLU, of a channels_last map.

    Args:
        x (Tensor): Shape (N, C, ...), channels side by side in memory, of any
            floating-point type.
        groups (int): Number of groups.
        weight (Tensor): Shape (C, ).
        bias (Tensor): Shape (C, ).
        scale (Tensor, optional): Shape (N, C) or (1, C).
        shift (Tensor, optional): Of the shape of ``scale``.
        eps (float): Added to the variance.
        silu (bool): Whether to apply SiLU.

    Returns:
        Tensor: Of the shape, dtype and layout of ``x``.
    """
    return _GroupNorm.apply(x, groups, weight, bias, scale, shift, eps, silu)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, groups, weight, bias, scale, shift, eps, silu):
        rows = _rows(x)
        y, mean, rstd, factor, offset = forward(rows, groups, weight, bias, scale, shift, eps, silu)
        ctx.save_for_backward(x, weight, bias, scale, mean, rstd, factor, offset)
        ctx.groups, ctx.silu = groups, silu
        return _as(y, x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        x, weight, bias, scale, mean, rstd, factor, offset = ctx.saved_tensors
        of_x, total, product = backward(
            _rows(x), _rows(gradient), mean, rstd, factor, offset, ctx.groups, ctx.silu
        )
        # The factor is weight * (1 + scale), the offset bias * (1 + scale) + shift.
        scaled = 1.0 if scale is None else 1 + scale.float()
        of_weight, of_bias = (product * scaled).sum(0), (total * scaled).sum(0)
        of_scale = of_shift = None
        if scale is not None:
            of_scale, of_shift = product * weight + total * bias, total
            if len(scale) == 1:
                of_scale, of_shift = of_scale.sum(0, keepdim=True), of_shift.sum(0, keepdim=True)
            of_scale, of_shift = of_scale.to(scale.dtype), of_shift.to(scale.dtype)
        return (
            _as(of_x, x), None, of_weight.to(weight.dtype), of_bias.to(bias.dtype), of_scale,
            of_shift, None, None,
        )  # fmt: skip


def _rows(x: Tensor) -> Tensor:
    """A map as (N, positions, C), contiguous: a view of one that is channels_last."""
    return x.flatten(2).transpose(1, 2).contiguous()


def _as(rows: Tensor, like: Tensor) -> Tensor:
    return rows.transpose(1, 2).unflatten(2, like.shape[2:])


def _grid(x: Tensor) -> tuple[tuple[int, int, int], tuple[int, int, int], int, dict]:
    """The programs for sums and for values, the number of chunks, and the tiles' sizes."""
    samples, height, channels = x.shape
    columns = min(TILE_CHANNELS, triton.next_power_of_2(channels))
    chunks, blocks = triton.cdiv(height, CHUNK_ROWS), triton.cdiv(channels, columns)
    tiles = (triton.cdiv(height, TILE_ROWS), blocks, samples)
    return (chunks, blocks, samples), tiles, chunks, dict(ROWS=TILE_ROWS, COLUMNS=columns)


@torch.library.custom_op('mmdiff::group_norm_forward', mutates_args=())
def forward(
    x: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    eps: float,
    silu: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The kernels of the forward.

    Args:
        x (Tensor): Shape (N, positions, C), contiguous.
        groups (int): As of :func:`group_norm`, like all that follow.
        weight (Tensor): Shape (C, ).
        bias (Tensor): Shape (C, ).
        scale (Tensor, optional): Shape (N or 1, C).
        shift (Tensor, optional): Likewise.
        eps (float): Added to the variance.
        silu (bool): Whether to apply SiLU.

    Returns:
        tuple[Tensor, ...]: The result, and in float32 each group's mean and
        inverse deviation, (N, groups), and each channel's factor and offset,
        (N, C).
    """
    samples, height, channels = x.shape
    sums, tiles, chunks, sizes = _grid(x)
    y = torch.empty_like(x)
    total, square = x.new_empty(2, samples, chunks, channels, dtype=torch.float32)
    # Each for itself: results of an operator may not share memory.
    mean, rstd = (x.new_empty(samples, groups, dtype=torch.float32) for _ in range(2))
    factor, offset = (x.new_empty(samples, channels, dtype=torch.float32) for _ in range(2))
    width = channels // groups
    _sum_kernel[sums](x, total, square, height, channels, chunks, CHUNK=CHUNK_ROWS, **sizes)
    scaled = scale is not None
    scale, shift = (scale.contiguous(), shift.contiguous()) if scaled else (weight, bias)
    stride = channels if scaled and len(scale) > 1 else 0
    _coefficient_kernel[(groups, samples)](
        x, total, square, weight, bias, scale, shift, mean, rstd, factor, offset,
        height, channels, chunks, stride, eps,
        GROUPS=groups, WIDTH=width, BLOCK=triton.next_power_of_2(width), SCALED=scaled,
    )  # fmt: skip
    _apply_kernel[tiles](
        x, y, mean, rstd, factor, offset, height, channels,
        GROUPS=groups, WIDTH=width, SILU=silu, **sizes,
    )  # fmt: skip
    return y, mean, rstd, factor, offset


@forward.register_fake
def _(x, groups, weight, bias, scale, shift, eps, silu):
    samples, _, channels = x.shape
    of_groups, of_channels = ((samples, n) for n in (groups, channels))
    return (
        torch.empty_like(x),
        *(x.new_empty(shape, dtype=torch.float32) for shape in (of_groups, of_groups)),
        *(x.new_empty(shape, dtype=torch.float32) for shape in (of_channels, of_channels)),
    )


@torch.library.custom_op('mmdiff::group_norm_backward', mutates_args=())
def backward(
    x: Tensor,
    gradient: Tensor,
    mean: Tensor,
    rstd: Tensor,
    factor: Tensor,
    offset: Tensor,
    groups: int,
    silu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernels of the backward.

    Args:
        x (Tensor): Shape (N, positions, C), contiguous.
        gradient (Tensor): Of the result; likewise.
        mean (Tensor): As of :func:`forward`, like all that follow.
        rstd (Tensor): Shape (N, groups).
        factor (Tensor): Shape (N, C).
        offset (Tensor): Shape (N, C).
        groups (int): Number of groups.
        silu (bool): Whether SiLU was applied.

    Returns:
        tuple[Tensor, ...]: The gradient of the input, and those of the offset
        and the factor of each channel, (N, C), float32.
    """
    samples, height, channels = x.shape
    sums, tiles, chunks, sizes = _grid(x)
    parts = x.new_empty(2, samples, chunks, channels, dtype=torch.float32)
    settings = dict(GROUPS=groups, WIDTH=channels // groups, SILU=silu, **sizes)
    _gradient_sum_kernel[sums](
        x, gradient, mean, rstd, factor, offset, *parts, height, channels, chunks,
        CHUNK=CHUNK_ROWS, **settings,
    )  # fmt: skip
    total, product = (part.sum(1) for part in parts)
    of_groups = [
        (part * factor).unflatten(1, (groups, -1)).sum(2) / (height * (channels // groups))
        for part in (total, product)
    ]
    result = torch.empty_like(x)
    _gradient_kernel[tiles](
        x, gradient, result, mean, rstd, factor, offset, *of_groups, height, channels, **settings
    )
    return result, total, product


@backward.register_fake
def _(x, gradient, mean, rstd, factor, offset, groups, silu):
    return torch.empty_like(x), torch.empty_like(factor), torch.empty_like(factor)
