"""From the features of a diffusion U-Net to the levels of a dense head."""

from collections.abc import Sequence
from functools import reduce

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_bool, check_int, check_ints, check_norm_cfg

from ..standardization import standardization
from .levels import build_level_convs, check_features, check_same_features, finish_levels, resize


@MODELS.register_module()
class FeatureAdapter(BaseModule):
    """1x1 convolution to a common width, then bilinear resize to given strides.

    This is how the paper feeds U-Net features to UperNet (appendix 7.3). One
    feature feeds all levels; several features feed one level each. Twice as
    many, or more, as of :class:`FusedBackbone`, feed the levels in turn, and
    what feeds the same level is added up. A detector also wants
    ``level_convs``, as its RPN is the same on all levels and could not tell
    levels of one feature apart, and ``pooled_level``. Features of several
    timesteps are concatenated along their channels first.

    Args:
        in_channels (Sequence[int]): Channels of each feature; of a backbone
            with several timesteps, of all of them together.
        in_strides (Sequence[int]): Stride of each feature, input image size
            over feature size.
        out_channels (int): Channels of every level. Defaults to 1024, the
            paper's.
        out_strides (Sequence[int]): Stride of each level. Defaults to
            (4, 8, 16, 32), UperNet's.
        level_convs (bool): Whether a 3x3 convolution of its own follows on
            each level, as in FPN and in ViTDet's simple feature pyramid.
            Defaults to False.
        norm_cfg (dict, optional): Config of a norm after each of
            ``level_convs``. Defaults to None: no norm.
        pooled_level (bool): Whether to append a level of twice the last
            stride, every other position of the last one, as FPN does.
            Defaults to False.
        standardize (bool): Whether channels are standardised first, see
            :class:`ChannelStandardization`. Defaults to False.
        init_cfg (dict, optional): Initialisation config. Defaults to None:
            PyTorch's defaults.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the numbers of features,
            strides and levels do not fit.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        out_channels: int = 1024,
        out_strides: Sequence[int] = (4, 8, 16, 32),
        level_convs: bool = False,
        norm_cfg: dict | None = None,
        pooled_level: bool = False,
        standardize: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        check_ints('in_channels', in_channels)
        check_ints('in_strides', in_strides)
        check_int('out_channels', out_channels)
        check_ints('out_strides', out_strides)
        check_bool('level_convs', level_convs)
        check_norm_cfg(norm_cfg)
        check_bool('pooled_level', pooled_level)
        check_bool('standardize', standardize)
        check_same_features(in_channels, in_strides)
        if not out_strides or not _can_feed(len(in_channels), len(out_strides)):
            raise ValueError(
                f'{len(in_channels)} features cannot feed the {len(out_strides)} levels of '
                f'out_strides={tuple(out_strides)}: give one feature for all, one for each, or '
                'the same number for each'
            )
        if norm_cfg is not None and not level_convs:
            raise ValueError(f'norm_cfg={norm_cfg} is for level_convs, but level_convs=False')
        self.in_channels = tuple(in_channels)
        self.in_strides = tuple(in_strides)
        self.out_strides = tuple(out_strides)
        self.pooled_level = pooled_level
        self.standardizations = nn.ModuleList(standardization(standardize, c) for c in in_channels)
        self.convs = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in in_channels)
        self.level_convs = build_level_convs(level_convs, out_channels, len(out_strides), norm_cfg)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Adapt features to levels.

        Args:
            features (Sequence[Tensor] | Sequence[Sequence[Tensor]]): Maps of
                shape (N, in_channels[i], H_i, W_i); or, for each of T
                timesteps, such maps with a T-th of the channels.

        Returns:
            tuple[Tensor, ...]: For each of ``out_strides`` a map of shape
            (N, out_channels, ceil(H_i * s_in / s_out), ceil(W_i * s_in /
            s_out)), of several features the smallest, and one more with
            ``pooled_level``.

        Raises:
            ValueError: If the features are not those of ``in_channels``, or
                their sizes not those of one image at ``in_strides``.
        """
        if features and not torch.is_tensor(features[0]):
            features = [torch.cat(maps, dim=1) for maps in zip(*features, strict=True)]
        check_features(features, self.in_channels, self.in_strides)
        features = [
            standardize(feature)
            for standardize, feature in zip(self.standardizations, features, strict=True)
        ]
        return finish_levels(self._resized(features), self.level_convs, self.pooled_level)

    def _resized(self, features: Sequence[Tensor]) -> list[Tensor]:
        if len(features) == 1:
            adapted = self.convs[0](features[0])
            return [resize(adapted, self.in_strides[0], s) for s in self.out_strides]
        # Features of several backbones feed the levels in turn.
        out_strides = self.out_strides * (len(features) // len(self.out_strides))
        adapted = [
            # The two commute, so the convolution goes where the map is smaller.
            conv(resize(feature, s_in, s_out))
            if s_in < s_out
            else resize(conv(feature), s_in, s_out)
            for conv, feature, s_in, s_out in zip(
                self.convs, features, self.in_strides, out_strides, strict=True
            )
        ]
        levels = len(self.out_strides)
        return [_add(adapted[level::levels]) for level in range(levels)]


def _can_feed(features: int, levels: int) -> bool:
    return features == 1 or (features > 0 and features % levels == 0)


def _add(maps: Sequence[Tensor]) -> Tensor:
    """The sum of maps of one image at one stride, which may reach beyond its edge."""
    height, width = (min(m.shape[dim] for m in maps) for dim in (-2, -1))
    return reduce(torch.add, (m[..., :height, :width] for m in maps))
