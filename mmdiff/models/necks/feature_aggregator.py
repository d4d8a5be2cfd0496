"""A learned mixture of the features of all timesteps and blocks."""

from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_bool, check_int, check_ints, check_norm_cfg

from ..standardization import standardization
from .levels import build_level_convs, check_features, check_same_features, finish_levels, resize

# Of the running mean of gates that vary over the image.
MOMENTUM = 0.01


@MODELS.register_module()
class FeatureAggregator(BaseModule):
    """Weigh the features of all timesteps and blocks by a learned gate, and sum them.

    Each feature has a norm of its own, and each block a 1x1 convolution to a
    common width, which its timesteps share. A softmax over all timesteps and
    blocks gives their weights, which say what the task needs
    (``tools/analysis_tools/gate_weights.py``). The sum is resized bilinearly to
    each of ``out_strides``. After Luo et al., *Diffusion Hyperfeatures*
    (https://arxiv.org/abs/2305.14334).

    For a dense head, ``out_strides`` are its levels; for a classification
    head, it is one stride.

    Args:
        in_channels (Sequence[int]): Channels of each block's feature.
        in_strides (Sequence[int]): Stride of each block's feature.
        num_timesteps (int): Timesteps of the backbone, each with a feature of
            each block. Defaults to 1.
        out_channels (int): Channels of every level. Defaults to 256.
        out_strides (Sequence[int]): Stride of each level. Defaults to
            (4, 8, 16, 32), UperNet's.
        norm_cfg (dict, optional): Config of the norm of each feature. Defaults
            to None: ``dict(type='BN')``, or no norm with ``standardize``.
        standardize (bool): Whether channels are standardised first, see
            :class:`mmdiff.models.standardization.ChannelStandardization`.
            Defaults to False.
        spatial_gate (bool): Whether the gate varies over the image: to a
            feature's logit, a 1x1 convolution of the feature after its
            block's is added. All features are resized then, for each level,
            which takes memory for each of them. Defaults to False.
        level_convs (bool): As of :class:`FeatureAdapter`. Defaults to False.
        level_norm_cfg (dict, optional): Config of a norm after each of
            ``level_convs``. Defaults to None: no norm.
        pooled_level (bool): As of :class:`FeatureAdapter`. Defaults to False.
        init_cfg (dict, optional): Initialisation config. Defaults to None:
            PyTorch's defaults, and equal weights.

    Attributes:
        gate_logits (Parameter): Shape (num_timesteps, blocks).
        mean_gates (Tensor): With ``spatial_gate``, a running mean of the
            weights over training images, shape (num_timesteps, blocks).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the numbers of features
            and strides do not fit.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        num_timesteps: int = 1,
        out_channels: int = 256,
        out_strides: Sequence[int] = (4, 8, 16, 32),
        norm_cfg: dict | None = None,
        standardize: bool = False,
        spatial_gate: bool = False,
        level_convs: bool = False,
        level_norm_cfg: dict | None = None,
        pooled_level: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        for name, ints in (
            ('in_channels', in_channels),
            ('in_strides', in_strides),
            ('out_strides', out_strides),
        ):
            check_ints(name, ints)
        check_int('num_timesteps', num_timesteps)
        check_int('out_channels', out_channels)
        check_norm_cfg(norm_cfg)
        check_norm_cfg(level_norm_cfg, 'level_norm_cfg')
        for name, flag in (
            ('standardize', standardize),
            ('spatial_gate', spatial_gate),
            ('level_convs', level_convs),
            ('pooled_level', pooled_level),
        ):
            check_bool(name, flag)
        check_same_features(in_channels, in_strides)
        if not out_strides:
            raise ValueError('out_strides must name at least one level, got ()')
        if level_norm_cfg is not None and not level_convs:
            raise ValueError(
                f'level_norm_cfg={level_norm_cfg} is for level_convs, but level_convs=False'
            )
        self.in_channels = tuple(in_channels)
        self.in_strides = tuple(in_strides)
        self.num_timesteps = num_timesteps
        self.out_strides = tuple(out_strides)
        self.spatial_gate = spatial_gate
        self.pooled_level = pooled_level
        if norm_cfg is None and not standardize:
            norm_cfg = dict(type='BN')
        self.norms = nn.ModuleList(
            nn.ModuleList(_norm(channels, norm_cfg, standardize) for channels in in_channels)
            for _ in range(num_timesteps)
        )
        # Without bias, so that they commute with the weighted sum.
        self.convs = nn.ModuleList(nn.Conv2d(c, out_channels, 1, bias=False) for c in in_channels)
        self.gate_logits = nn.Parameter(torch.zeros(num_timesteps, len(in_channels)))
        if spatial_gate:
            self.gate_convs = nn.ModuleList(
                nn.Conv2d(out_channels, 1, 1, bias=False) for _ in in_channels
            )
            for conv in self.gate_convs:
                nn.init.zeros_(conv.weight)
            self.register_buffer('mean_gates', self.gates().detach())
        self.level_convs = build_level_convs(
            level_convs, out_channels, len(out_strides), level_norm_cfg
        )

    def gates(self) -> Tensor:
        """The weights, without what varies over the image, shape (num_timesteps, blocks)."""
        return self.gate_logits.flatten().softmax(0).view_as(self.gate_logits)

    def forward(
        self, features: Sequence[Tensor] | Sequence[Sequence[Tensor]]
    ) -> tuple[Tensor, ...]:
        """Aggregate features.

        Args:
            features (Sequence[Tensor] | Sequence[Sequence[Tensor]]): For each
                timestep, the maps of its blocks, shape (N, in_channels[i],
                H_i, W_i); or the maps of one timestep.

        Returns:
            tuple[Tensor, ...]: For each of ``out_strides`` a map of shape (N,
            out_channels, ceil(H / stride), ceil(W / stride)) for images of
            H x W, and one more with ``pooled_level``.

        Raises:
            ValueError: If there are other timesteps, or the features are not
                those of ``in_channels``, or their sizes not those of one image
                at ``in_strides``.
        """
        several = features and not torch.is_tensor(features[0])
        timesteps = features if several else [features]
        if len(timesteps) != self.num_timesteps:
            raise ValueError(
                f'the features are of {len(timesteps)} timesteps, but '
                f'num_timesteps={self.num_timesteps}'
            )
        for maps in timesteps:
            check_features(maps, self.in_channels, self.in_strides)
        timesteps = [
            [norm(feature) for norm, feature in zip(norms, maps, strict=True)]
            for norms, maps in zip(self.norms, timesteps, strict=True)
        ]
        mix = self._mix_by_position if self.spatial_gate else self._mix
        return finish_levels(mix(timesteps), self.level_convs, self.pooled_level)

    def _mix(self, timesteps: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        of_blocks = [
            conv(sum(gate * feature for gate, feature in zip(gates, maps, strict=True)))
            for conv, gates, maps in zip(
                self.convs, self.gates().unbind(1), zip(*timesteps, strict=True), strict=True
            )
        ]
        return [sum(self._at_stride(of_blocks, stride)) for stride in self.out_strides]

    def _mix_by_position(self, timesteps: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        timesteps = [
            [conv(feature) for conv, feature in zip(self.convs, maps, strict=True)]
            for maps in timesteps
        ]
        levels, means = [], []
        for stride in self.out_strides:
            # Shape (N, timesteps, blocks, C, H, W).
            resized = torch.stack(
                [torch.stack(self._at_stride(maps, stride), dim=1) for maps in timesteps], dim=1
            )
            by_position = torch.stack(
                [
                    conv(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
                    for conv, maps in zip(self.gate_convs, resized.unbind(2), strict=True)
                ],
                dim=2,
            )
            logits = by_position + self.gate_logits[..., None, None, None]
            gates = logits.flatten(1, 2).softmax(1).view_as(logits)
            levels.append((gates * resized).sum((1, 2)))
            means.append(gates.detach().mean((0, 3, 4, 5)))
        if self.training:
            self.mean_gates.lerp_(torch.stack(means).mean(0).to(self.mean_gates), MOMENTUM)
        return levels

    def _at_stride(self, maps: Sequence[Tensor], stride: int) -> list[Tensor]:
        """Maps of all blocks, resized to a stride and cropped to one size."""
        resized = [
            resize(feature, own, stride) for feature, own in zip(maps, self.in_strides, strict=True)
        ]
        height, width = (min(m.shape[axis] for m in resized) for axis in (2, 3))
        return [m[..., :height, :width] for m in resized]


def _norm(channels: int, norm_cfg: dict | None, standardize: bool) -> nn.Module:
    layers = [standardization(True, channels)] if standardize else []
    if norm_cfg is not None:
        layers.append(build_norm_layer(norm_cfg, channels)[1])
    return nn.Sequential(*layers)
