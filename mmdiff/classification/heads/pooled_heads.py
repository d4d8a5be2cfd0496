"""Heads that pool a feature map to a fixed size and classify the cells together."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn

from mmdiff.models.standardization import standardization
from mmdiff.registry import MODELS
from mmdiff.utils import check_bool, check_int, check_ints


class PooledHead(ClsHead):
    """Adaptive average pooling of one feature map to k x k, then a subclass's layers.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the feature map.
        pool_size (int): Side k of the pooled map.
        standardize (bool): Whether the channels of the pooled map are
            standardised, see
            :class:`mmdiff.models.standardization.ChannelStandardization`.
            Defaults to False.
        kwargs: Arguments of MMPretrain's ``ClsHead``, such as ``loss``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        pool_size: int,
        standardize: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ('num_classes', num_classes),
            ('in_channels', in_channels),
            ('pool_size', pool_size),
        ):
            check_int(name, value)
        check_bool('standardize', standardize)
        self.standardization = standardization(standardize, in_channels)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.pool_size = pool_size

    def pre_logits(self, feats: Sequence[Tensor]) -> Tensor:
        """Pool the feature map, and standardise it where that was asked for.

        Args:
            feats (Sequence[Tensor]): One map, shape (N, in_channels, H, W).

        Returns:
            Tensor: Shape (N, in_channels, pool_size, pool_size).

        Raises:
            ValueError: If there are several maps, other channels, or fewer
                cells than ``pool_size`` x ``pool_size``.
        """
        if len(feats) != 1 or not isinstance(feats[0], Tensor):
            maps = all(isinstance(map_, Tensor) for map_ in feats)
            kind = 'maps' if maps else 'timesteps, as a sequence'
            raise ValueError(
                f'{type(self).__name__} takes the map of one block at one timestep, got '
                f'{len(feats)} {kind}; give the backbone one block, and an int as timestep'
            )
        (feature,) = feats
        if feature.shape[1] != self.in_channels:
            raise ValueError(
                f'the feature has {feature.shape[1]} channels, but in_channels={self.in_channels}'
            )
        if min(feature.shape[2:]) < self.pool_size:
            raise ValueError(
                f'the feature is {feature.shape[2]}x{feature.shape[3]}, smaller than '
                f'pool_size={self.pool_size}'
            )
        return self.standardization(F.adaptive_avg_pool2d(feature, self.pool_size))


@MODELS.register_module()
class MLPHead(PooledHead):
    """Pool, flatten, and a multilayer perceptron with ReLU (paper, table 12).

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the feature map.
        pool_size (int): Side of the pooled map. The paper's MLP-1k, 4k and
            16k have 1, 2 and 4. Defaults to 2.
        hidden_channels (Sequence[int]): Widths of the hidden layers.
            Defaults to (2048, ).
        kwargs: ``standardize``, and arguments of MMPretrain's ``ClsHead``,
            such as ``loss``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        pool_size: int = 2,
        hidden_channels: Sequence[int] = (2048,),
        **kwargs,
    ):
        super().__init__(num_classes, in_channels, pool_size, **kwargs)
        check_ints('hidden_channels', hidden_channels)
        layers, width = [nn.Flatten()], in_channels * pool_size**2
        for hidden in hidden_channels:
            layers += [nn.Linear(width, hidden), nn.ReLU(inplace=True)]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Class scores, shape (N, num_classes), of one map."""
        return self.layers(self.pre_logits(feats))


@MODELS.register_module()
class LinearHead(MLPHead):
    """Pool, flatten, and one linear layer: the linear probe (paper, tables 1 and 12).

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the feature map.
        pool_size (int): Side of the pooled map. The paper's Linear-1k, 4k,
            16k and 65k have 1, 2, 4 and 8. Defaults to 2, the paper's for its
            main results (section 4.1).
        kwargs: ``standardize``, and arguments of MMPretrain's ``ClsHead``,
            such as ``loss``.
    """

    def __init__(self, num_classes: int, in_channels: int, pool_size: int = 2, **kwargs):
        super().__init__(num_classes, in_channels, pool_size, hidden_channels=(), **kwargs)


@MODELS.register_module()
class CNNHead(PooledHead):
    """Pool, two 2x2 convolutions of stride 2 with ReLU, and a linear layer (paper, table 13).

    The paper gives the channels and the parameter counts; the kernel, the
    stride and the pool size are those that reproduce most of the counts.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the feature map.
        channels (Sequence[int]): Output channels of the two convolutions.
            Defaults to (2048, 2048).
        pool_size (int): Side of the pooled map, a multiple of 4. Defaults to
            8.
        kwargs: ``standardize``, and arguments of MMPretrain's ``ClsHead``,
            such as ``loss``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or ``pool_size`` is not a
            multiple of 4.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        channels: Sequence[int] = (2048, 2048),
        pool_size: int = 8,
        **kwargs,
    ):
        super().__init__(num_classes, in_channels, pool_size, **kwargs)
        if pool_size % 4:
            raise ValueError(f'pool_size must be a multiple of 4, got {pool_size}')
        check_ints('channels', channels)
        if len(channels) != 2:
            raise ValueError(f'channels must be of the two convolutions, got {channels}')
        first, second = channels
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, first, 2, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 2, stride=2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(second * (pool_size // 4) ** 2, num_classes),
        )

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Class scores, shape (N, num_classes), of one map."""
        return self.layers(self.pre_logits(feats))
