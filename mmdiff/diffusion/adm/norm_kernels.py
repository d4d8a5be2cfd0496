"""Group norm, scale and shift, and SiLU on channels_last maps, as Triton kernels for a GPU.

PyTorch's CUDA kernel (up to 2.14) knows NCHW alone: in a channels_last U-Net it copies each map
there, and the next convolution copies it back. These read and write a map where it is: one pass for
the statistics and one to apply them, with float32 sums of any dtype. What a GPU otherwise does in a
pass of its own over the map is done on the way: the bias of the convolution before, and the 2x2
average pool after.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

# Rows (positions) and channels of the tile that a program holds.
TILE_ROWS, TILE_CHANNELS = 16, 128
# The rows that a program adds up make this many programs, enough to fill a GPU, but not more than
# so many parts of a channel's sum, nor less than so many rows.
PROGRAMS, MAX_CHUNKS, MIN_CHUNK_ROWS = 1024, 64, 32
# Parts of a sum that are added up at a time.
TILE_CHUNKS = 16


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
    x_ptr, sum_ptr, square_ptr, weight_ptr, bias_ptr, scale_ptr, shift_ptr, addend_ptr,
    centre_ptr, rstd_ptr, factor_ptr, offset_ptr,
    height, channels, num_chunks, scale_stride, addend_stride, eps,
    GROUPS: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, CHUNKS: tl.constexpr,
    SCALED: tl.constexpr, ADDED: tl.constexpr,
):  # fmt: skip
    """Deviation of a group; of each of its channels the centre, the factor and the offset.

    The centre is what a value of the map is compared with: the group's mean without the addend.
    """
    group, sample = tl.program_id(0), tl.program_id(1)
    lanes = tl.arange(0, BLOCK)
    inside = lanes < WIDTH
    columns = group * WIDTH + lanes
    totals = tl.zeros((CHUNKS, BLOCK), tl.float32)
    squares_of = tl.zeros((CHUNKS, BLOCK), tl.float32)
    for start in range(0, num_chunks, CHUNKS):
        chunks = start + tl.arange(0, CHUNKS)
        mask = (chunks < num_chunks)[:, None] & inside[None, :]
        place = (sample * num_chunks + chunks)[:, None] * channels + columns[None, :]
        totals += tl.load(sum_ptr + place, mask=mask, other=0.0)
        squares_of += tl.load(square_ptr + place, mask=mask, other=0.0)
    total, square = tl.sum(totals, 0), tl.sum(squares_of, 0)
    pivot = tl.load(
        x_ptr + sample.to(tl.int64) * height * channels + columns, mask=inside, other=0.0
    ).to(tl.float32)
    addend = tl.zeros((BLOCK,), tl.float32)
    if ADDED:
        addend += tl.load(addend_ptr + sample * addend_stride + columns, mask=inside, other=0.0).to(
            tl.float32
        )
    means = pivot + addend + total / height
    squares = square - total * total / height
    # Differences to one of the means, for the same reason as above.
    nearby = tl.sum(tl.where(lanes == 0, means, 0.0), 0)
    mean = nearby + tl.sum(tl.where(inside, means - nearby, 0.0), 0) / WIDTH
    apart = tl.where(inside, means - mean, 0.0)
    variance = tl.sum(tl.where(inside, squares, 0.0) + height * apart * apart, 0)
    rstd = 1.0 / tl.sqrt(tl.maximum(variance / (height * WIDTH), 0.0) + eps)
    tl.store(centre_ptr + sample * channels + columns, mean - addend, mask=inside)
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
def _normalised(x_ptr, centre_ptr, rstd_ptr, rows, columns, sample, height, channels, mask,
                GROUPS: tl.constexpr, WIDTH: tl.constexpr):  # fmt: skip
    x = tl.load(x_ptr + _offsets(rows, columns, sample, height, channels), mask=mask, other=0.0).to(
        tl.float32
    )
    group = sample * GROUPS + columns // WIDTH
    inside = columns < channels
    centre = tl.load(centre_ptr + sample * channels + columns, mask=inside, other=0.0)
    rstd = tl.load(rstd_ptr + group, mask=inside, other=0.0)
    return (x - centre[None, :]) * rstd[None, :], rstd


@triton.jit
def _apply_kernel(
    x_ptr, y_ptr, centre_ptr, rstd_ptr, factor_ptr, offset_ptr, height, channels,
    GROUPS: tl.constexpr, WIDTH: tl.constexpr, SILU: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(2)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    mask = (rows < height)[:, None] & inside[None, :]
    y, _ = _normalised(
        x_ptr, centre_ptr, rstd_ptr, rows, columns, sample, height, channels, mask, GROUPS, WIDTH
    )
    factor = tl.load(factor_ptr + sample * channels + columns, mask=inside, other=0.0)
    offset = tl.load(offset_ptr + sample * channels + columns, mask=inside, other=0.0)
    y = y * factor[None, :] + offset[None, :]
    if SILU:
        y = y / (1.0 + tl.exp(-y))
    tl.store(y_ptr + _offsets(rows, columns, sample, height, channels), y, mask=mask)


@triton.jit
def _pooled_kernel(
    x_ptr, y_ptr, pooled_ptr, centre_ptr, rstd_ptr, factor_ptr, offset_ptr,
    height, channels, pooled_height, width,
    GROUPS: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The means over 2x2 positions: of the norm after SiLU, and of the map."""
    sample = tl.program_id(2)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    mask = (rows < pooled_height)[:, None] & inside[None, :]
    factor = tl.load(factor_ptr + sample * channels + columns, mask=inside, other=0.0)
    offset = tl.load(offset_ptr + sample * channels + columns, mask=inside, other=0.0)
    centre = tl.load(centre_ptr + sample * channels + columns, mask=inside, other=0.0)
    rstd = tl.load(rstd_ptr + sample * GROUPS + columns // WIDTH, mask=inside, other=0.0)
    half = width // 2
    first = 2 * (rows // half) * width + 2 * (rows % half)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    total_of_map = tl.zeros((ROWS, COLUMNS), tl.float32)
    for place in tl.static_range(4):
        corner = first + place // 2 * width + place % 2
        x = tl.load(
            x_ptr + _offsets(corner, columns, sample, height, channels), mask=mask, other=0.0
        ).to(tl.float32)
        y = (x - centre[None, :]) * rstd[None, :] * factor[None, :] + offset[None, :]
        total += y / (1.0 + tl.exp(-y))
        total_of_map += x
    place_of = _offsets(rows, columns, sample, pooled_height, channels)
    tl.store(y_ptr + place_of, 0.25 * total, mask=mask)
    tl.store(pooled_ptr + place_of, 0.25 * total_of_map, mask=mask)


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
    x_ptr, gradient_ptr, centre_ptr, rstd_ptr, factor_ptr, offset_ptr, sum_ptr, product_ptr,
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
            x_ptr,
            centre_ptr,
            rstd_ptr,
            rows,
            columns,
            sample,
            height,
            channels,
            mask,
            GROUPS,
            WIDTH,
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
    x_ptr, gradient_ptr, result_ptr, centre_ptr, rstd_ptr, factor_ptr, offset_ptr,
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
        x_ptr, centre_ptr, rstd_ptr, rows, columns, sample, height, channels, mask, GROUPS, WIDTH
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
    addend: Tensor | None = None,
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
        addend (Tensor, optional): Added to ``x`` before, shape (N, C) or
            (1, C). Defaults to None.

    Returns:
        Tensor: Of the shape, dtype and layout of ``x``.
    """
    return _GroupNorm.apply(x, groups, weight, bias, scale, shift, eps, silu, addend)


def pooled_group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Group norm, SiLU and a 2x2 average pool of a channels_last map; and the pool of the map.

    It has no gradient.

    Args:
        x (Tensor): Shape (N, C, H, W), channels side by side in memory, of
            any floating-point type.
        groups (int): Number of groups.
        weight (Tensor): Shape (C, ).
        bias (Tensor): Shape (C, ).
        eps (float): Added to the variance.

    Returns:
        tuple[Tensor, Tensor]: Each of shape (N, C, H // 2, W // 2), of the
        dtype and layout of ``x``.
    """
    size = [side // 2 for side in x.shape[2:]]
    results = pooled_forward(_rows(x), x.shape[3], groups, weight, bias, eps)
    return tuple(rows.transpose(1, 2).unflatten(2, size) for rows in results)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, groups, weight, bias, scale, shift, eps, silu, addend):
        y, *of_norm = forward(_rows(x), groups, weight, bias, scale, shift, eps, silu, addend)
        ctx.save_for_backward(x, weight, bias, scale, addend, *of_norm)
        ctx.groups, ctx.silu = groups, silu
        return _as(y, x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        x, weight, bias, scale, addend, *of_norm = ctx.saved_tensors
        of_x, total, product = backward(_rows(x), _rows(gradient), *of_norm, ctx.groups, ctx.silu)
        # The factor is weight * (1 + scale), the offset bias * (1 + scale) + shift.
        scaled = 1.0 if scale is None else 1 + scale.float()
        of_weight, of_bias = (product * scaled).sum(0), (total * scaled).sum(0)
        of_scale = of_shift = of_addend = None
        if scale is not None:
            of_scale = _summed_to(product * weight + total * bias, scale)
            of_shift = _summed_to(total, scale)
        if addend is not None:
            of_addend = _summed_to(of_x.sum(1, dtype=torch.float32), addend)
        return (
            _as(of_x, x), None, of_weight.to(weight.dtype), of_bias.to(bias.dtype), of_scale,
            of_shift, None, None, of_addend,
        )  # fmt: skip


def _summed_to(gradient: Tensor, vector: Tensor) -> Tensor:
    """A gradient of shape (N, C) as that of a vector, which may be one for all samples."""
    if len(vector) == 1:
        gradient = gradient.sum(0, keepdim=True)
    return gradient.to(vector.dtype)


def _rows(x: Tensor) -> Tensor:
    """A map as (N, positions, C), contiguous: a view of one that is channels_last."""
    return x.flatten(2).transpose(1, 2).contiguous()


def _as(rows: Tensor, like: Tensor) -> Tensor:
    return rows.transpose(1, 2).unflatten(2, like.shape[2:])


@dataclass(frozen=True)
class _Launch:
    """How a map of shape (N, positions, C) is cut into programs.

    Attributes:
        sums (tuple[int, int, int]): Programs for sums.
        tiles (tuple[int, int, int]): Programs for values.
        chunk_rows (int): Rows that a program for sums adds up.
        sizes (dict): Rows and channels of a tile.
    """

    sums: tuple[int, int, int]
    tiles: tuple[int, int, int]
    chunk_rows: int
    sizes: dict

    @property
    def num_chunks(self) -> int:
        return self.sums[0]


def _launch(samples: int, height: int, channels: int) -> _Launch:
    columns = min(TILE_CHANNELS, triton.next_power_of_2(channels))
    blocks = triton.cdiv(channels, columns)
    wanted = min(max(PROGRAMS // (blocks * samples), 1), MAX_CHUNKS)
    chunk_rows = max(triton.next_power_of_2(triton.cdiv(height, wanted)), MIN_CHUNK_ROWS)
    return _Launch(
        (triton.cdiv(height, chunk_rows), blocks, samples),
        (triton.cdiv(height, TILE_ROWS), blocks, samples),
        chunk_rows,
        dict(ROWS=TILE_ROWS, COLUMNS=columns),
    )


def _coefficients(
    x: Tensor,
    groups: int,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    eps: float,
    addend: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What :func:`forward` returns besides the map."""
    samples, height, channels = x.shape
    launch = _launch(*x.shape)
    chunks, width = launch.num_chunks, channels // groups
    total, square = x.new_empty(2, samples, chunks, channels, dtype=torch.float32)
    # Each for itself: results of an operator may not share memory.
    centre, factor, offset = (x.new_empty(samples, channels, dtype=torch.float32) for _ in range(3))
    rstd = x.new_empty(samples, groups, dtype=torch.float32)
    _sum_kernel[launch.sums](
        x, total, square, height, channels, chunks, CHUNK=launch.chunk_rows, **launch.sizes
    )
    scaled, added = scale is not None, addend is not None
    # A kernel takes a pointer, whether it reads from it or not.
    scale, shift = (scale.contiguous(), shift.contiguous()) if scaled else (weight, bias)
    addend = addend.contiguous() if added else bias
    _coefficient_kernel[(groups, samples)](
        x, total, square, weight, bias, scale, shift, addend, centre, rstd, factor, offset,
        height, channels, chunks, _stride(scale), _stride(addend), eps,
        GROUPS=groups, WIDTH=width, BLOCK=triton.next_power_of_2(width), CHUNKS=TILE_CHUNKS,
        SCALED=scaled, ADDED=added,
    )  # fmt: skip
    return centre, rstd, factor, offset


def _stride(vectors: Tensor) -> int:
    """From the vector of a sample to the next one's: none where there is one for all."""
    return vectors.stride(0) if vectors.dim() == 2 and len(vectors) > 1 else 0


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
    addend: Tensor | None,
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
        addend (Tensor, optional): Shape (N or 1, C).

    Returns:
        tuple[Tensor, ...]: The result, and in float32 each channel's centre,
        (N, C), each group's inverse deviation, (N, groups), and each channel's
        factor and offset, (N, C).
    """
    launch = _launch(*x.shape)
    of_norm = _coefficients(x, groups, weight, bias, scale, shift, eps, addend)
    y = torch.empty_like(x)
    _, height, channels = x.shape
    _apply_kernel[launch.tiles](
        x, y, *of_norm, height, channels,
        GROUPS=groups, WIDTH=channels // groups, SILU=silu, **launch.sizes,
    )  # fmt: skip
    return y, *of_norm


@forward.register_fake
def _(x, groups, weight, bias, scale, shift, eps, silu, addend):
    samples, _, channels = x.shape
    sizes = (channels, groups, channels, channels)
    return torch.empty_like(x), *(x.new_empty(samples, size, dtype=torch.float32) for size in sizes)


@torch.library.custom_op('mmdiff::pooled_group_norm_forward', mutates_args=())
def pooled_forward(
    x: Tensor, width: int, groups: int, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """The kernels of :func:`pooled_group_norm`.

    Args:
        x (Tensor): Shape (N, positions, C), contiguous, row after row.
        width (int): Positions in a row.
        groups (int): As of :func:`group_norm`, like all that follow.
        weight (Tensor): Shape (C, ).
        bias (Tensor): Shape (C, ).
        eps (float): Added to the variance.

    Returns:
        tuple[Tensor, Tensor]: The pooled result, and the pooled input, of
        shape (N, positions // 4, C).
    """
    of_norm = _coefficients(x, groups, weight, bias, None, None, eps, None)
    samples, height, channels = x.shape
    y, pooled = (_empty_pooled(x, width) for _ in range(2))
    pooled_height = y.shape[1]
    launch = _launch(samples, pooled_height, channels)
    _pooled_kernel[launch.tiles](
        x, y, pooled, *of_norm, height, channels, pooled_height, width,
        GROUPS=groups, WIDTH=channels // groups, **launch.sizes,
    )  # fmt: skip
    return y, pooled


@pooled_forward.register_fake
def _(x, width, groups, weight, bias, eps):
    return _empty_pooled(x, width), _empty_pooled(x, width)


def _empty_pooled(x: Tensor, width: int) -> Tensor:
    samples, height, channels = x.shape
    return x.new_empty(samples, (height // width // 2) * (width // 2), channels)


@torch.library.custom_op('mmdiff::group_norm_backward', mutates_args=())
def backward(
    x: Tensor,
    gradient: Tensor,
    centre: Tensor,
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
        centre (Tensor): As of :func:`forward`, like all that follow.
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
    launch = _launch(*x.shape)
    parts = x.new_empty(2, samples, launch.num_chunks, channels, dtype=torch.float32)
    settings = dict(GROUPS=groups, WIDTH=channels // groups, SILU=silu, **launch.sizes)
    _gradient_sum_kernel[launch.sums](
        x, gradient, centre, rstd, factor, offset, *parts, height, channels, launch.num_chunks,
        CHUNK=launch.chunk_rows, **settings,
    )  # fmt: skip
    total, product = (part.sum(1) for part in parts)
    of_groups = [
        (part * factor).unflatten(1, (groups, -1)).sum(2) / (height * (channels // groups))
        for part in (total, product)
    ]
    result = torch.empty_like(x)
    _gradient_kernel[launch.tiles](
        x, gradient, result, centre, rstd, factor, offset, *of_groups, height, channels, **settings
    )
    return result, total, product


@backward.register_fake
def _(x, gradient, centre, rstd, factor, offset, groups, silu):
    return torch.empty_like(x), torch.empty_like(factor), torch.empty_like(factor)
