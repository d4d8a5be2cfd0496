"""Features as a linear head takes them."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_ints, check_norm_cfg


@MODELS.register_module()
class FeatureNorm(BaseModule):
    """A norm of each feature, and nothing else.

    Before a head of one 1x1 convolution, it makes a linear probe of dense
    features, as DINOv2's: batch norm, then a linear layer for each position.

    Args:
        in_channels (Sequence[int]): Channels of each feature.
        norm_cfg (dict): Config of the norm. Defaults to ``dict(type='BN')``.
        init_cfg (dict, optional): Initialisation config. Defaults to None.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        check_ints('in_channels', in_channels)
        check_norm_cfg(norm_cfg)
        norm_cfg = norm_cfg or dict(type='BN')
        self.norms = nn.ModuleList(build_norm_layer(norm_cfg, c)[1] for c in in_channels)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Normalise.

        Args:
            features (Sequence[Tensor]): Maps of shape (N, in_channels[i], H_i,
                W_i).

        Returns:
            tuple[Tensor, ...]: Maps of the same shapes.

        Raises:
            ValueError: If there are not as many features as ``in_channels``.
        """
        return tuple(norm(feature) for norm, feature in zip(self.norms, features, strict=True))
