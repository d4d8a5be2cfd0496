"""Features as a linear head takes them."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_ints


@MODELS.register_module()
class FeatureNorm(BaseModule):
    """Batch norm of each feature, and nothing else.

    Before a head of one 1x1 convolution, it makes a linear probe of dense
    features, as `DINOv2's <https://arxiv.org/abs/2304.07193>`_.

    Args:
        in_channels (Sequence[int]): Channels of each feature.
        init_cfg (dict, optional): Initialisation config. Defaults to None.

    Raises:
        TypeError: If ``in_channels`` is no list or tuple of ints.
        ValueError: If one of them is less than 1.
    """

    def __init__(self, in_channels: Sequence[int], init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)
        check_ints('in_channels', in_channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in in_channels)

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
