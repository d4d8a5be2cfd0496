"""ViTDet's simple feature pyramid: from one feature to the levels of a detector."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_int, check_norm_cfg


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Levels of 4, 2, 1 and half the size of one feature, by learned upsampling, and one more.

    As in `ViTDet <https://arxiv.org/abs/2203.16527>`_ and its code, whose
    settings the paper takes for detection (appendix 7.2): of a feature of
    stride 16, levels of strides 4, 8, 16, 32 and 64. Two transposed
    convolutions, one, none, and a max pool; a 1x1 and a 3x3 convolution after
    each, with norm and without activation; and for the last level every other
    position of the one before.

    Args:
        in_channels (int): Channels of the feature, a multiple of 4. A
            transposed convolution halves them.
        out_channels (int): Channels of every level. Defaults to 256.
        norm_cfg (dict, optional): Config of the norms. Defaults to None:
            layer norm over the channels, ViTDet's,
            ``dict(type='mmpretrain.LN2d', eps=1e-6)``.
        init_cfg (dict, optional): Initialisation config. Defaults to None:
            PyTorch's defaults.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        check_int('in_channels', in_channels)
        check_int('out_channels', out_channels)
        check_norm_cfg(norm_cfg)
        if in_channels % 4:
            raise ValueError(f'in_channels must be a multiple of 4, got {in_channels}')
        norm_cfg = norm_cfg or dict(type='mmpretrain.LN2d', eps=1e-6)
        self.in_channels = in_channels
        half, quarter = in_channels // 2, in_channels // 4
        # Channels after the layers that resize, and these.
        resized = (
            (quarter, (_upsample(in_channels), _norm(norm_cfg, half), nn.GELU(), _upsample(half))),
            (half, (_upsample(in_channels),)),
            (in_channels, ()),
            # An odd side n becomes (n + 1) / 2, as of a backbone with that stride.
            (in_channels, (nn.MaxPool2d(2, ceil_mode=True),)),
        )
        self.levels = nn.ModuleList(
            nn.Sequential(
                *layers,
                nn.Conv2d(channels, out_channels, 1, bias=False),
                _norm(norm_cfg, out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                _norm(norm_cfg, out_channels),
            )
            for channels, layers in resized
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The levels of a feature.

        Args:
            features (Sequence[Tensor]): One map of shape (N, in_channels, H,
                W).

        Returns:
            tuple[Tensor, ...]: Maps of ``out_channels`` channels and sizes
            (4H, 4W), (2H, 2W), (H, W), (ceil(H / 2), ceil(W / 2)) and
            (ceil(H / 4), ceil(W / 4)).

        Raises:
            ValueError: If there are several features, or other channels.
        """
        if len(features) != 1 or not torch.is_tensor(features[0]):
            raise ValueError(
                f'{type(self).__name__} takes the feature of one block at one timestep, got '
                f'{len(features)} of '
                f'{"blocks" if torch.is_tensor(features[0]) else "timesteps, as sequences"}; '
                'FeatureAdapter takes several'
            )
        (feature,) = features
        if feature.shape[1] != self.in_channels:
            raise ValueError(
                f'the feature has {feature.shape[1]} channels, but in_channels={self.in_channels}'
            )
        levels = [level(feature) for level in self.levels]
        return (*levels, F.max_pool2d(levels[-1], kernel_size=1, stride=2))


def _upsample(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels // 2, kernel_size=2, stride=2)


def _norm(norm_cfg: dict, channels: int) -> nn.Module:
    _, norm = build_norm_layer(norm_cfg, channels)
    return norm
