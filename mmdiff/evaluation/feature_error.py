"""How far a model's features are from its teacher's."""

from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from mmdiff.registry import METRICS


@METRICS.register_module()
class FeatureError(BaseMetric):
    """Mean error of each of the teacher's maps, and of all of them.

    For :class:`mmdiff.models.CleanFeatures` and
    :class:`mmdiff.models.FeatureDistillation`.

    Args:
        kwargs: Arguments of MMEngine's ``BaseMetric``.
    """

    default_prefix = 'feature_error'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the errors of a batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Of each image, its error by the name
                of the map.
        """
        self.results += data_samples

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average the errors.

        Args:
            results (list[dict[str, float]]): Errors of each image.

        Returns:
            dict[str, float]: ``mean``, and each map's.
        """
        errors = {
            name: sum(result[name] for result in results) / len(results) for name in results[0]
        }
        return {'mean': sum(errors.values()) / len(errors), **errors}
