"""What a config's data preprocessor does to pixels, for a graph and for whoever feeds it."""

from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from .errors import ExportError


@dataclass(frozen=True)
class Preprocessing:
    """Mean, standard deviation and order of the channels that a model takes.

    Attributes:
        mean (tuple[float, ...]): Of pixels from 0 to 255, in the order of
            ``channel_order``.
        std (tuple[float, ...]): Likewise.
        channel_order (str): ``'RGB'`` or ``'BGR'``.
        loaded_order (str): That of the config's pipelines.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: str
    loaded_order: str

    @classmethod
    def of(cls, cfg: ConfigDict) -> 'Preprocessing':
        """Read it from a config.

        Args:
            cfg (ConfigDict): The config, whose pipelines give BGR, as those of
                OpenMMLab do, unless the preprocessor says ``rgb_to_bgr``.

        Returns:
            Preprocessing: That of its data preprocessor.
        """
        settings = cfg.model.get('data_preprocessor') or {}
        to_rgb = settings.get('bgr_to_rgb') or settings.get('to_rgb')
        return cls(
            mean=tuple(settings.get('mean') or (0.0, 0.0, 0.0)),
            std=tuple(settings.get('std') or (1.0, 1.0, 1.0)),
            channel_order='RGB' if to_rgb else 'BGR',
            loaded_order='RGB' if settings.get('rgb_to_bgr') else 'BGR',
        )

    def normalize(self, pixels: Tensor) -> Tensor:
        """What the model takes, of RGB pixels.

        Args:
            pixels (Tensor): Shape (N, 3, H, W), from 0 to 255.

        Returns:
            Tensor: Of the same shape, float32.
        """
        pixels = pixels.float()
        if self.channel_order == 'BGR':
            pixels = pixels.flip(1)
        mean, std = (pixels.new_tensor(v).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (pixels - mean) / std

    def as_in(self, model: nn.Module, pixels: np.ndarray) -> Tensor:
        """What the model's own data preprocessor makes of pixels.

        Args:
            model (nn.Module): A model of MMSegmentation, MMDetection or
                MMPretrain.
            pixels (ndarray): RGB images of shape (N, 3, H, W), uint8.

        Returns:
            Tensor: The model's input.

        Raises:
            ExportError: If the preprocessor changes the size.
        """
        loaded = pixels if self.loaded_order == 'RGB' else pixels[:, ::-1].copy()
        inputs = model.data_preprocessor(dict(inputs=list(torch.from_numpy(loaded))))['inputs']
        if inputs.shape[-2:] != pixels.shape[-2:]:
            raise ExportError(
                f"size: the config's data preprocessor pads images of {pixels.shape[-2:]} pixels "
                f'to {tuple(inputs.shape[-2:])}, which is no part of the graph: give that size'
            )
        return inputs
