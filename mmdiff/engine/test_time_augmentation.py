"""Test-time augmentation, as OpenMMLab's packages do it."""

from copy import deepcopy

from mmengine.config import Config

from mmdiff.engine.pipelines import test_datasets

NEEDED = ('tta_model', 'tta_pipeline')


def augment_test(cfg: Config) -> None:
    """Let a test merge the predictions for several views of each image.

    The noise of a view is as of the backbone's ``eval_noise``.

    Args:
        cfg (Config): The run's config, with ``tta_model`` and
            ``tta_pipeline``, changed in place.

    Raises:
        SystemExit: If it lacks one of them.
    """
    missing = [name for name in NEEDED if name not in cfg]
    if missing:
        raise SystemExit(
            f'--tta: the config has no {" and no ".join(missing)}. tta_model merges the '
            'predictions for the views that tta_pipeline makes: see docs/testing.md'
        )
    cfg.model = dict(cfg.tta_model, module=cfg.model)
    for dataset in test_datasets(cfg):
        dataset.pipeline = deepcopy(cfg.tta_pipeline)
