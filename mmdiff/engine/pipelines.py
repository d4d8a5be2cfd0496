"""The data sets that a test reads, and what it does to their images."""

from collections.abc import Iterator

from mmengine.config import Config, ConfigDict


def test_datasets(cfg: Config) -> Iterator[ConfigDict]:
    """The data sets of a config's test that have a pipeline.

    Args:
        cfg (Config): The run's config.

    Yields:
        ConfigDict: Each, to be changed in place.
    """
    yield from _with_pipeline(cfg.test_dataloader.dataset)


def without_labels(pipeline: list[dict]) -> list[dict]:
    """A pipeline of images alone.

    Args:
        pipeline (list[dict]): May load labels, also within test-time
            augmentation.

    Returns:
        list[dict]: The pipeline without that.
    """
    kept = []
    for transform in pipeline:
        if transform['type'] == 'TestTimeAug':
            stages = map(without_labels, transform['transforms'])
            # One that is empty would leave no view.
            transform = dict(transform, transforms=[stage for stage in stages if stage])
        if transform['type'] != 'LoadAnnotations':
            kept.append(transform)
    return kept


def _with_pipeline(dataset):
    if dataset.get('pipeline'):
        yield dataset
    inner = [dataset['dataset']] if 'dataset' in dataset else dataset.get('datasets', ())
    for part in inner:
        yield from _with_pipeline(part)
