"""A backbone of another package on noised images."""

from collections.abc import Sequence
from functools import partial

from mmengine.model import BaseModule
from torch import Tensor

from mmdiff.diffusion import SCHEDULES, fixed_noise
from mmdiff.registry import MODELS
from mmdiff.utils import check_choice, check_int, is_int

from ..renormalization import IMAGENET_MEAN, IMAGENET_STD, Renormalization
from .image_range import ImageCheck
from .input_noise import NOISES, check_timesteps, noise_images


@MODELS.register_module()
class NoisedInputBackbone(BaseModule):
    """Any backbone on the noised images that a diffusion backbone sees (paper, figure 3).

    Images are noised to ``timestep`` (paper, eq. 2), scaled from [-1, 1] to
    what the backbone was trained on, and given to it. They are not clipped:
    at high timesteps most values are out of the range of an image's.

    Inputs are RGB images in [-1, 1], as of :class:`DiffusionBackbone`:
    ``mean=[127.5] * 3, std=[127.5] * 3`` in the data preprocessor.

    Args:
        backbone (dict): Config of the backbone, such as
            ``dict(type='ResNet', depth=50)``, whose weights its own
            ``init_cfg`` names.
        timestep (int | Sequence[int]): Timestep t of the noised image, from 0
            to 999, or several, whose features are all returned, computed one
            after another.
        noise (str): The noise in training, as of :class:`DiffusionBackbone`.
            Defaults to ``'random'``.
        eval_noise (str): The noise in evaluation, likewise. Defaults to
            ``'fixed'``, the same as a diffusion backbone's of that seed.
        seed (int): Seed of the fixed noise. Defaults to 0.
        noise_schedule (str): One of :data:`mmdiff.diffusion.SCHEDULES`.
            Defaults to ``'linear'``, guided diffusion's.
        mean (Sequence[float]): What the backbone's images were normalised
            by: mean of pixels from 0 to 255, RGB. Defaults to ImageNet's.
        std (Sequence[float]): Their standard deviation. Defaults to
            ImageNet's.
        init_cfg (dict, optional): As of MMEngine's ``BaseModule``. Defaults
            to None.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    # Of the images, for mmdiff.InputCheckHook.
    image_range = (-1, 1)

    def __init__(
        self,
        backbone: dict,
        timestep: int | Sequence[int],
        noise: str = 'random',
        eval_noise: str = 'fixed',
        seed: int = 0,
        noise_schedule: str = 'linear',
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        if not isinstance(backbone, dict) or 'type' not in backbone:
            raise TypeError(
                "backbone must be the config of a backbone, dict(type='ResNet', ...), got "
                f'{backbone!r}'
            )
        self.timesteps = check_timesteps(timestep)
        self.single_timestep = is_int(timestep)
        check_choice('noise', noise, NOISES)
        check_choice('eval_noise', eval_noise, NOISES)
        check_choice('noise_schedule', noise_schedule, SCHEDULES)
        check_int('seed', seed, 0)
        self.noise = noise
        self.eval_noise = eval_noise
        self.noise_schedule = noise_schedule
        self.fixed_noise = partial(fixed_noise, seed)
        self.normalize = Renormalization(mean, std)
        self._check_images = ImageCheck()
        self.backbone = MODELS.build(backbone)

    def forward(self, x_0: Tensor) -> tuple:
        """Features of noised images.

        Args:
            x_0 (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            tuple: What the backbone gives. If ``timestep`` is a sequence, such
            a tuple for each timestep, in their order.

        Raises:
            TypeError: If the input is not of floating point.
            ValueError: If it is not of shape (N, 3, H, W), or empty, or if
                values are beyond 1.5 or NaN (on a GPU, in the first forward
                only).
        """
        self._check_images(x_0)
        features = tuple(self.backbone(self.normalize(self.noised(x_0, t))) for t in self.timesteps)
        return features[0] if self.single_timestep else features

    def noised(self, x_0: Tensor, timestep: int) -> Tensor:
        """Images noised to a timestep, as :class:`DiffusionBackbone` noises them.

        Args:
            x_0 (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).
            timestep (int): The timestep, from 0 to 999.

        Returns:
            Tensor: In the shape of ``x_0``.
        """
        noise = self.noise if self.training else self.eval_noise
        return noise_images(x_0, timestep, noise, self.fixed_noise, self.noise_schedule)
