"""How well a diffusion model predicts noise."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmdiff.diffusion import NUM_TIMESTEPS
from mmdiff.registry import METRICS


@METRICS.register_module()
class NoiseError(BaseMetric):
    """Mean squared error of the predicted noise, over all timesteps and in quarters of them.

    For :class:`mmdiff.models.DenoisingModel`. An error of 1 is that of
    predicting none; a quarter without an image is left out.

    Args:
        kwargs: Arguments of MMEngine's ``BaseMetric``.
    """

    default_prefix = 'noise_error'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the errors of a batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): ``timestep`` and ``error`` of each
                image.
        """
        self.results += [(sample['timestep'], sample['error']) for sample in data_samples]

    def compute_metrics(self, results: list[tuple[int, float]]) -> dict[str, float]:
        """Average the errors.

        Args:
            results (list[tuple[int, float]]): Timestep and error of each image.

        Returns:
            dict[str, float]: ``mean``, and ``t0-249`` to ``t750-999``.
        """
        timesteps, errors = np.array(results).T
        metrics = {'mean': float(errors.mean())}
        quarter = NUM_TIMESTEPS // 4
        for first in range(0, NUM_TIMESTEPS, quarter):
            inside = (timesteps >= first) & (timesteps < first + quarter)
            if inside.any():
                metrics[f't{first}-{first + quarter - 1}'] = float(errors[inside].mean())
        return metrics
