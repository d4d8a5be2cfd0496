"""Predictions of a test as files, as the metrics of OpenMMLab's packages write them."""

from inspect import signature
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import METRICS

from mmdiff.engine.pipelines import test_datasets, without_labels

# Its metrics write label maps to a folder; of other packages, an extra metric writes one file.
FOLDER_SCOPE = 'mmseg'
DUMPS = {'mmdet': 'DumpDetResults'}
# What a metric with format_only calls the place of its files.
PLACES = ('output_dir', 'outfile_prefix')


def write_predictions(cfg: Config, out: str) -> None:
    """Let a test write its predictions besides scoring them.

    Args:
        cfg (Config): The run's config, changed in place.
        out (str): Of MMSegmentation, a folder for label maps; else a
            ``.pkl`` file.

    Raises:
        SystemExit: If it is no such name, or if MMSegmentation's metric
            writes no label maps.
    """
    metrics = _metrics(cfg)
    if cfg.get('default_scope') == FOLDER_SCOPE:
        _check_folder(out)
        _metric_with(cfg, metrics, 'output_dir', '--out').output_dir = out
    else:
        if not out.endswith(('.pkl', '.pickle')):
            raise SystemExit(f'--out: predictions go to a .pkl file, got {out}')
        dump = dict(type=DUMPS.get(cfg.get('default_scope'), 'DumpResults'), out_file_path=out)
        # Last, as MMDetection's takes apart what it is given.
        cfg.test_evaluator = [*metrics, dump]


def only_format(cfg: Config, out: str | None) -> None:
    """Let a test write what a benchmark's server takes, without labels and scores.

    Args:
        cfg (Config): The run's config, changed in place.
        out (str, optional): A folder for MMSegmentation's label maps, or what
            the names of MMDetection's JSON files begin with.

    Raises:
        SystemExit: If there is no such name, or no metric has such files.
    """
    metric = _metric_with(cfg, _metrics(cfg), 'format_only', '--format-only')
    place = next(name for name in PLACES if _takes(cfg, metric, name))
    if out is None:
        kind = 'FOLDER' if place == 'output_dir' else 'PREFIX, for PREFIX.bbox.json and so on'
        raise SystemExit(f'--format-only needs --out {kind}')
    if place == 'output_dir':
        _check_folder(out)
    else:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    cfg.test_evaluator = {**metric, 'format_only': True, place: out}
    for dataset in test_datasets(cfg):
        # Test sets of benchmarks have none.
        dataset.pipeline = without_labels(dataset.pipeline)
        if 'data_prefix' in dataset:
            dataset.data_prefix.pop('seg_map_path', None)


def _metrics(cfg):
    evaluator = cfg.test_evaluator
    return evaluator if isinstance(evaluator, list) else [evaluator]


def _takes(cfg, metric, argument):
    with METRICS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        metric_class = registry.get(metric['type'])
    return argument in signature(metric_class).parameters


def _metric_with(cfg, metrics, argument, option):
    for metric in metrics:
        if _takes(cfg, metric, argument):
            return metric
    names = ', '.join(metric['type'] for metric in metrics)
    raise SystemExit(f'{option}: of test_evaluator, {names} writes no such files')


def _check_folder(out):
    if Path(out).suffix in ('.pkl', '.pickle') or Path(out).is_file():
        raise SystemExit(f'--out: label maps go to a folder, got {out}')
