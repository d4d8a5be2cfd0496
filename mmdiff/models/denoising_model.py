"""A diffusion model to be trained: the U-Net and its loss."""

from contextlib import nullcontext

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmdiff.diffusion import (
    NUM_TIMESTEPS,
    UNet,
    q_sample,
    simple_loss,
    variational_bound,
)
from mmdiff.diffusion.adm import get_architecture
from mmdiff.registry import MODELS


@MODELS.register_module()
class DenoisingModel(BaseModel):
    """An ADM U-Net that learns to predict the noise of noised images (paper, eq. 4).

    Its parameters stand below ``unet.`` in a state dict.

    Args:
        arch (str | dict): As of :class:`GuidedDiffusionBackbone`; with
            ``learn_sigma``, the variance is learned too, as in *Improved
            DDPM*. Not class-conditional.
        data_preprocessor (dict): Config that gives RGB images in [-1, 1].
        amp_dtype (str, optional): ``'bfloat16'`` runs the U-Net in mixed
            precision, also on a CPU. Defaults to None: what the optimizer
            wrapper sets.

    Raises:
        ValueError: If the architecture is class-conditional, or ``amp_dtype``
            is another.
    """

    # Of the images, for mmdiff.InputCheckHook.
    image_range = (-1, 1)

    def __init__(self, arch: str | dict, data_preprocessor: dict, amp_dtype: str | None = None):
        super().__init__(data_preprocessor=data_preprocessor)
        if amp_dtype not in (None, 'bfloat16'):
            raise ValueError(f"amp_dtype must be None or 'bfloat16', got {amp_dtype!r}")
        self.arch = get_architecture(arch)
        if self.arch.num_classes is not None:
            raise ValueError(
                f'arch must not be class-conditional, got num_classes={self.arch.num_classes}'
            )
        self.unet = UNet(self.arch)
        self.amp_dtype = amp_dtype

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[dict] | Tensor:
        """Losses in training, errors in evaluation.

        Args:
            inputs (Tensor): RGB images in [-1, 1] of the architecture's size,
                shape (N, 3, image_size, image_size).
            data_samples (list, optional): Not used: images need no labels.
            mode (str): ``'loss'``, ``'predict'``, or ``'tensor'``, which is
                the U-Net's output at t=0.

        Returns:
            dict | list[dict] | Tensor: For ``'loss'``, ``loss_simple`` and,
            with ``learn_sigma``, ``loss_vlb``, at timesteps and noise that
            are drawn. For ``'predict'``, of each image its ``timestep`` and
            the ``error`` of the noise, at timesteps and noise that depend
            only on the place in the batch.

        Raises:
            ValueError: If ``mode`` is another, or the images are of another
                size.
        """
        size = self.arch.image_size
        if inputs.shape[1:] != (3, size, size):
            raise ValueError(
                f'inputs must have shape (N, 3, {size}, {size}), got {tuple(inputs.shape)}: resize '
                "and crop in the data set's pipeline, or name another arch"
            )
        if mode == 'tensor':
            return self._denoise(inputs, inputs.new_zeros(len(inputs), dtype=torch.long))
        if mode == 'loss':
            return self._loss(inputs)
        if mode == 'predict':
            return self._predict(inputs)
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")

    def _denoise(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        precision = (
            torch.autocast(x_t.device.type, torch.bfloat16) if self.amp_dtype else nullcontext()
        )
        with precision:
            output = self.unet(x_t, timesteps)
        return output.float()

    def _loss(self, x_0):
        timesteps = torch.randint(NUM_TIMESTEPS, (len(x_0),), device=x_0.device)
        noise = torch.randn_like(x_0)
        x_t = q_sample(x_0, timesteps, noise, self.arch.noise_schedule)
        output = self._denoise(x_t, timesteps)
        losses = {'loss_simple': simple_loss(output, noise).mean()}
        if self.arch.learn_sigma:
            bound = variational_bound(output, x_0, x_t, timesteps, self.arch.noise_schedule)
            losses['loss_vlb'] = bound.mean()
        return losses

    def _predict(self, x_0):
        generator = torch.Generator('cpu').manual_seed(0)
        timesteps = torch.randint(NUM_TIMESTEPS, (len(x_0),), generator=generator)
        noise = torch.randn(x_0.shape, generator=generator).to(x_0)
        x_t = q_sample(x_0, timesteps.to(x_0.device), noise, self.arch.noise_schedule)
        errors = simple_loss(self._denoise(x_t, timesteps.to(x_0.device)), noise)
        return [
            {'timestep': t, 'error': error}
            for t, error in zip(timesteps.tolist(), errors.tolist(), strict=True)
        ]
