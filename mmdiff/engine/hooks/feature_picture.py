"""Features of clean images as pictures, while they are learned."""

from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from torch import Tensor

from mmdiff.engine.unwrapping import unwrapped
from mmdiff.registry import HOOKS
from mmdiff.utils import check_int


@HOOKS.register_module()
class FeaturePictureHook(Hook):
    """Draw features after each validation, as ``features/iter_N.png`` in the work dir.

    Of the first validation images, a row each: the image, and for each block
    the frozen denoiser's features of the noised image and those of
    :class:`mmdiff.models.CleanFeatures` of the clean one, as colours: the first
    three principal components of a column. All pictures have the same noise.

    Args:
        num_images (int): Rows. Defaults to 4.
        timestep (int): Of the noised images, from 0 to 999. Defaults to 100.

    Raises:
        TypeError: If an argument is not an int.
        ValueError: If one is out of range.
    """

    # Before EMAHook takes the averaged weights out of the model again.
    priority = 'ABOVE_NORMAL'

    def __init__(self, num_images: int = 4, timestep: int = 100):
        check_int('num_images', num_images)
        check_int('timestep', timestep, 0, 999)
        self.num_images = num_images
        self.timestep = timestep

    @master_only
    @torch.no_grad()
    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Draw a picture.

        Args:
            runner (Runner): Has the model and the validation images.
            metrics (dict, optional): Not used.
        """
        from mmdiff.visualization import draw_feature_sheet, pca_rgb

        model = unwrapped(runner.model)
        dataset = runner.val_dataloader.dataset
        chosen = pseudo_collate([dataset[i] for i in range(min(self.num_images, len(dataset)))])
        images = model.data_preprocessor(chosen)['inputs']
        columns = {'image': [_as_picture(image) for image in images]}
        noised, clean = self._maps(model, images)
        for number, *maps in zip(model.backbone.blocks, noised, clean, strict=True):
            for of, features in zip((f't={self.timestep}', 'clean'), maps, strict=True):
                columns[f'b={number}, {of}'] = pca_rgb(features)
        path = Path(runner.work_dir) / f'features/iter_{runner.iter}.png'
        draw_feature_sheet(path, [*zip(*columns.values(), strict=True)], [*columns])

    def _maps(self, model, images: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        x_0 = model.encode(images)
        noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0)).to(x_0)
        timesteps = torch.full((len(x_0),), self.timestep, device=x_0.device)
        return model.noised_features(x_0, timesteps, noise), model.features(images)


def _as_picture(image: Tensor) -> np.ndarray:
    return ((image + 1) / 2).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
