"""Attention head and DifFormer: Transformers over the cells of feature maps."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_bool, check_int, check_ints


class Tokenizer(nn.Module):
    """Turn the map of one block into tokens (paper, section 3.1).

    Adaptive average pooling where the map is larger than ``pool_size``,
    layer norm over channels and positions, and a 1x1 convolution.

    Args:
        in_channels (int): Channels of the map.
        size (int): Side of the map that the backbone gives.
        embed_dims (int): Channels of a token.
        pool_size (int): Largest side after pooling.
        norm (bool): Whether there is the layer norm.
        project (bool): Whether there is the 1x1 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        size: int,
        embed_dims: int,
        pool_size: int,
        norm: bool,
        project: bool,
    ):
        super().__init__()
        self.map_shape = (in_channels, size, size)
        self.size = min(size, pool_size)
        self.norm = nn.LayerNorm([in_channels, self.size, self.size]) if norm else nn.Identity()
        self.project = nn.Conv2d(in_channels, embed_dims, 1) if project else nn.Identity()

    def forward(self, feature: Tensor) -> Tensor:
        """Tokens of shape (N, size * size, embed_dims) of a map (N, C, H, W)."""
        if feature.shape[1:] != self.map_shape:
            raise ValueError(
                f'the feature has shape {tuple(feature.shape[1:])}, but in_channels and '
                f'feature_sizes say {self.map_shape}'
            )
        if self.size < self.map_shape[1]:
            feature = F.adaptive_avg_pool2d(feature, self.size)
        return self.project(self.norm(feature)).flatten(2).transpose(1, 2)


@MODELS.register_module()
class DifFormerHead(ClsHead):
    """Transformer over the features of several blocks and timesteps (paper, section 3.2).

    A tokenizer for each block; the tokens of all blocks of a timestep and a
    class token go through Transformer layers; the class tokens of all
    timesteps are concatenated and classified by a linear layer. Tokenizers
    and Transformer are shared by the timesteps. Weights start as PyTorch's
    layers do, the class token at zero.

    Args:
        num_classes (int): Number of classes.
        in_channels (Sequence[int]): Channels of each block's map.
        feature_sizes (Sequence[int]): Side of each block's map, which layer
            norm over positions has to know: the input's side over the block's
            stride.
        num_timesteps (int): Number of timesteps. Defaults to 1.
        num_layers (int): Transformer layers. Defaults to 2, the paper's
            choice (table 2).
        embed_dims (int): Width of the Transformer. Defaults to 1024.
        num_heads (int): Attention heads. Defaults to 8.
        pool_size (int): Larger maps are pooled to this side. Defaults to 16.
        norm (bool): Whether tokenizers have their layer norm, which the
            authors' code leaves out for table 14. Defaults to True.
        project (bool): Whether tokenizers have their 1x1 convolution, which
            the paper leaves out for table 14; without it ``embed_dims`` must
            be each block's channels. Defaults to True.
        kwargs: Arguments of MMPretrain's ``ClsHead``, such as ``loss``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or they do not fit each
            other.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        feature_sizes: Sequence[int],
        num_timesteps: int = 1,
        num_layers: int = 2,
        embed_dims: int = 1024,
        num_heads: int = 8,
        pool_size: int = 16,
        norm: bool = True,
        project: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ('num_classes', num_classes),
            ('num_timesteps', num_timesteps),
            ('num_layers', num_layers),
            ('embed_dims', embed_dims),
            ('num_heads', num_heads),
            ('pool_size', pool_size),
        ):
            check_int(name, value)
        check_ints('in_channels', in_channels)
        check_ints('feature_sizes', feature_sizes)
        check_bool('norm', norm)
        check_bool('project', project)
        if len(in_channels) != len(feature_sizes) or not in_channels:
            raise ValueError(
                f'in_channels={tuple(in_channels)} and feature_sizes={tuple(feature_sizes)} must '
                'name the same blocks'
            )
        if not project and set(in_channels) != {embed_dims}:
            raise ValueError(
                f'project=False needs in_channels of embed_dims={embed_dims}, got '
                f'{tuple(in_channels)}'
            )
        if embed_dims % num_heads:
            raise ValueError(f'num_heads={num_heads} does not divide embed_dims={embed_dims}')
        self.num_classes = num_classes
        self.num_timesteps = num_timesteps
        self.tokenizers = nn.ModuleList(
            Tokenizer(channels, size, embed_dims, pool_size, norm, project)
            for channels, size in zip(in_channels, feature_sizes, strict=True)
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        # Not MMEngine's, through which init_weights would reach the layers: MMPretrain's start from
        # other weights than the authors' and timm's.
        self.layers = nn.Sequential(
            *(
                TransformerEncoderLayer(
                    embed_dims,
                    num_heads=num_heads,
                    feedforward_channels=4 * embed_dims,
                    qkv_bias=False,
                )
                for _ in range(num_layers)
            )
        )
        self.fc = nn.Linear(num_timesteps * embed_dims, num_classes)

    def pre_logits(self, feats: Sequence[Tensor] | Sequence[Sequence[Tensor]]) -> Tensor:
        """The class tokens after the last layer.

        Args:
            feats (Sequence): For each timestep, the maps of its blocks, each
                of shape (N, in_channels[i], size_i, size_i); or the maps of
                one timestep.

        Returns:
            Tensor: Shape (N, num_timesteps * embed_dims).

        Raises:
            ValueError: If there are other timesteps, blocks or shapes.
        """
        timesteps = [feats] if all(isinstance(map_, Tensor) for map_ in feats) else feats
        counts = [len(maps) for maps in timesteps]
        if counts != [len(self.tokenizers)] * self.num_timesteps:
            raise ValueError(
                f'the features are of {len(counts)} timesteps with {counts} blocks, but the head '
                f'has num_timesteps={self.num_timesteps} and {len(self.tokenizers)} in_channels'
            )
        # All timesteps as one batch, as they share all weights.
        tokens = [
            tokenizer(torch.cat(maps))
            for tokenizer, maps in zip(self.tokenizers, zip(*timesteps, strict=True), strict=True)
        ]
        cls_token = self.cls_token.expand(tokens[0].shape[0], -1, -1)
        out = self.layers(torch.cat([cls_token, *tokens], dim=1))[:, 0]
        return out.unflatten(0, (len(timesteps), -1)).transpose(0, 1).flatten(1)

    def forward(self, feats: Sequence[Tensor] | Sequence[Sequence[Tensor]]) -> Tensor:
        """Class scores, shape (N, num_classes), of the features."""
        return self.fc(self.pre_logits(feats))


@MODELS.register_module()
class AttentionHead(DifFormerHead):
    """Transformer over the cells of one feature map (paper, section 3.1).

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the map.
        feature_size (int): Side of the map.
        kwargs: Further arguments of :class:`DifFormerHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, feature_size: int, **kwargs):
        check_int('in_channels', in_channels)
        check_int('feature_size', feature_size)
        super().__init__(num_classes, [in_channels], [feature_size], **kwargs)
