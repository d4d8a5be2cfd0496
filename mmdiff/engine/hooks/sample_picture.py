"""Samples of a diffusion model as pictures, while it trains."""

from importlib import import_module
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmdiff.engine.unwrapping import unwrapped
from mmdiff.registry import HOOKS


@HOOKS.register_module()
class SamplePictureHook(Hook):
    """Draw samples after each validation, as ``samples/iter_N.png`` in the work dir.

    All pictures start from the same noise. Needs diffusers and torchvision.

    Args:
        num_images (int): Samples of a picture. Defaults to 16.
        num_steps (int): DDIM steps. Defaults to 50.
    """

    # Before EMAHook takes the averaged weights out of the model again.
    priority = 'ABOVE_NORMAL'

    def __init__(self, num_images: int = 16, num_steps: int = 50):
        self.num_images = num_images
        self.num_steps = num_steps

    def before_run(self, runner) -> None:
        """Import what draws, so that a run without it stops here and not at a validation.

        Args:
            runner (Runner): Not used.

        Raises:
            ImportError: If diffusers or torchvision is not installed.
        """
        from mmdiff.diffusion.sampling import sample

        import_module('torchvision.utils')  # draw_image_grid imports it when it draws.
        self._sample = sample

    @master_only
    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Draw a picture.

        Args:
            runner (Runner): Has the model.
            metrics (dict, optional): Not used.
        """
        from mmdiff.visualization import draw_image_grid

        model = unwrapped(runner.model)
        images = self._sample(model.unet, self.num_images, self.num_steps)
        draw_image_grid(Path(runner.work_dir) / f'samples/iter_{runner.iter}.png', images)
