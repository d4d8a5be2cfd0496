"""What necks have in common: features of one image, and the levels of a dense head."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn


def check_features(
    features: Sequence[Tensor], in_channels: Sequence[int], in_strides: Sequence[int]
) -> None:
    """Refuse features that are not those that a neck was built for.

    Args:
        features (Sequence[Tensor]): Maps of shape (N, C_i, H_i, W_i).
        in_channels (Sequence[int]): Their channels.
        in_strides (Sequence[int]): Their strides.

    Raises:
        ValueError: If they have other channels, or sizes that no image has.
    """
    channels = tuple(feature.shape[1] for feature in features)
    if channels != tuple(in_channels):
        raise ValueError(f'features have {channels} channels, but in_channels={in_channels}')
    sizes = [tuple(feature.shape[-2:]) for feature in features]
    for sides in zip(*sizes, strict=True):
        # A side n at stride s is of an image from (n - 1) * s + 1 to n * s.
        ends = [side * stride for side, stride in zip(sides, in_strides, strict=True)]
        if any(end - stride >= min(ends) for end, stride in zip(ends, in_strides, strict=True)):
            raise ValueError(
                f'features have sizes {sizes}, which no image has at in_strides={in_strides}'
            )


def check_same_features(in_channels: Sequence[int], in_strides: Sequence[int]) -> None:
    """Refuse arguments that name different numbers of features.

    Args:
        in_channels (Sequence[int]): Channels of each.
        in_strides (Sequence[int]): Stride of each.

    Raises:
        ValueError: If they do.
    """
    if len(in_channels) != len(in_strides) or not in_channels:
        raise ValueError(
            f'in_channels={tuple(in_channels)} and in_strides={tuple(in_strides)} must name '
            'the same features'
        )


def resize(x: Tensor, stride: int, to_stride: int) -> Tensor:
    """Resize a map bilinearly from one stride to another.

    Args:
        x (Tensor): Shape (N, C, H, W).
        stride (int): Its stride.
        to_stride (int): The stride of the result.

    Returns:
        Tensor: Shape (N, C, ceil(H * stride / to_stride), ceil(W * stride /
        to_stride)).
    """
    if stride == to_stride:
        return x
    size = [math.ceil(side * stride / to_stride) for side in x.shape[-2:]]
    return F.interpolate(x, size=size, mode='bilinear', align_corners=False)


def build_level_convs(
    level_convs: bool, channels: int, num_levels: int, norm_cfg: dict | None
) -> nn.ModuleList | None:
    """A 3x3 convolution for each level, as in FPN.

    Args:
        level_convs (bool): Whether there are any.
        channels (int): Channels of every level.
        num_levels (int): Number of levels.
        norm_cfg (dict, optional): Config of a norm after each.

    Returns:
        ModuleList | None: The convolutions.
    """
    if not level_convs:
        return None
    return nn.ModuleList(
        ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None)
        for _ in range(num_levels)
    )


def finish_levels(
    levels: Sequence[Tensor], convs: nn.ModuleList | None, pooled_level: bool
) -> tuple[Tensor, ...]:
    """Apply the levels' convolutions, and append a level of every other position.

    Args:
        levels (Sequence[Tensor]): A map for each level.
        convs (ModuleList, optional): Of :func:`build_level_convs`.
        pooled_level (bool): Whether to append a level.

    Returns:
        tuple[Tensor, ...]: The levels, contiguous.
    """
    levels = list(levels)
    if convs is not None:
        levels = [conv(level) for conv, level in zip(convs, levels, strict=True)]
    if pooled_level:
        levels.append(F.max_pool2d(levels[-1], kernel_size=1, stride=2))
    # As mmcv's RoIAlign reads them (https://github.com/open-mmlab/mmcv/issues/2203); of a ViT's
    # maps, which are channels_last, they would not be.
    return tuple(level.contiguous() for level in levels)
