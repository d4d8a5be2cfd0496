"""The check of a labelled data set: of its config, or of what a run has opened."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from .coco import check_annotations, check_instances, loads_instances, read_coco
from .images import check_images
from .label_maps import check_label_maps, check_pairs
from .report import Faults, Report, SplitCheck
from .splits import check_between, class_lists

SPLITS = ('train', 'val', 'test')
# Of a model, what learns the classes of the data set.
HEADS = ('decode_head', 'head', 'bbox_head', 'roi_head.bbox_head')
# Of each split, at the start of a run.
SAMPLE = 16


def check_config(cfg: Config, sample: int | None = None) -> Report:
    """Check the data sets of a config, each split once.

    Args:
        cfg (Config): The config, with its ``custom_imports`` imported.
        sample (int, optional): How many files of each split to read. Defaults
            to None: all.

    Returns:
        Report: What was found.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    faults, checked, splits = Faults(), [], []
    for split in SPLITS:
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        if not dataset or dataset in checked:
            continue
        checked.append(dataset)
        for name, part in _parts_of_config(dataset, split):
            splits.append(_check_part(name, part, sample))
            _check_evaluator(cfg, split, part, faults)
    _check_heads(cfg, splits, faults)
    check_between(splits, faults)
    return Report(splits, faults)


def check_names(cfg: Config, splits: Sequence[str]) -> list[str]:
    """Check the names of images and label maps, before MMSegmentation opens them.

    It cannot open a data set without images, and does not say why.

    Args:
        cfg (Config): As of :func:`check_config`.
        splits (Sequence[str]): Which data sets, e.g. ``'train'``.

    Returns:
        list[str]: What is wrong.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    errors = []
    for split in splits:
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset') or {}
        for name, part in _parts_of_config(dataset, split):
            prefix = part.get('data_prefix')
            if isinstance(prefix, dict) and 'seg_map_path' in prefix:
                faults = Faults()
                _check_files(DATASETS.build(dict(part, lazy_init=True)), faults)
                errors += [f'{name}: {line}' for line in faults.errors]
    return errors


def check_datasets(datasets: dict, sample: int | None = SAMPLE) -> Report:
    """Check data sets that are open.

    Args:
        datasets (dict): A data set, or a wrapper of some, for each split.
        sample (int, optional): How many files of each to read; None reads all.
            Defaults to ``SAMPLE``.

    Returns:
        Report: What was found.
    """
    splits = []
    for split, dataset in datasets.items():
        for name, part in _parts(dataset, split):
            check = SplitCheck(name, whole=sample is None)
            if _has_label_maps(part):
                check_pairs(part, check.faults)
            _check_open(part, check, sample)
            splits.append(check)
    faults = Faults()
    check_between(splits, faults)
    return Report(splits, faults)


def _check_part(name, config, sample):
    check = SplitCheck(name, whole=sample is None)
    try:
        # Its files are looked at before it is opened, which fails or leaves things out.
        dataset = DATASETS.build(dict(config, lazy_init=True))
        _check_files(dataset, check.faults)
        dataset.full_init()
    except Exception as error:  # Each class of data sets has errors of its own.
        if not check.faults.errors:
            check.faults.error('not opened', f'{type(error).__name__}: {error}')
        return check
    _check_open(dataset, check, sample)
    return check


def _has_label_maps(dataset):
    return hasattr(dataset, 'reduce_zero_label') and 'seg_map_path' in dataset.data_prefix


def _check_files(dataset, faults):
    if _has_label_maps(dataset):
        check_pairs(dataset, faults)
    # Panoptic files have masks as images (seg).
    elif hasattr(dataset, 'COCOAPI') and not dataset.data_prefix.get('seg'):
        coco = read_coco(dataset.ann_file, dataset.backend_args)
        with_mask = any(getattr(t, 'with_mask', False) for t in dataset.pipeline.transforms)
        check_annotations(dataset.ann_file, coco, dataset.metainfo['classes'], with_mask, faults)


def _check_open(dataset, check, sample):
    """Look at the images and labels of a data set that is open."""
    info = dataset.get_data_info(0)
    check.num_images = len(dataset)
    check.class_lists = class_lists(dataset)
    if 'img_path' not in info:
        return
    if _has_label_maps(dataset):
        check_label_maps(dataset, check, sample)
    elif 'instances' in info and loads_instances(dataset):
        check_instances(dataset, check, sample)
    else:
        check_images(dataset, check, sample)
    if check.whole:
        check.paths = {dataset.get_data_info(index)['img_path'] for index in range(len(dataset))}


def _check_evaluator(cfg, split, dataset, faults):
    """MMDetection's metric reads the labels itself."""
    evaluator = cfg.get(f'{split}_evaluator') or {}
    if not isinstance(evaluator, dict) or not (evaluator.get('ann_file') and 'ann_file' in dataset):
        return
    used = Path(dataset.get('data_root') or '', dataset.ann_file)
    if Path(evaluator.ann_file).resolve() != used.resolve():
        faults.error(
            f'{split}_evaluator',
            f'{split}_evaluator.ann_file is {evaluator.ann_file}, but {split}_dataloader reads '
            f'{used}: the score would be of other images',
        )


def _check_heads(cfg, splits, faults):
    for name in HEADS:
        head = cfg.get('model')
        for key in name.split('.'):
            head = (head or {}).get(key)
        for part in head if isinstance(head, list) else [head or {}]:
            number = part.get('num_classes')
            for split in splits:
                if number and split.classes and number != len(split.classes):
                    faults.error(
                        f'num_classes {name}',
                        f'{split.name} has {len(split.classes)} classes, but model.{name} has '
                        f'num_classes={number}',
                    )


def _parts_of_config(config: dict, name: str) -> Iterator[tuple[str, dict]]:
    """The data sets that are in wrappers, each with its name."""
    if 'dataset' in config:
        yield from _parts_of_config(config['dataset'], name)
    elif 'datasets' in config:
        for number, part in enumerate(config['datasets']):
            yield from _parts_of_config(part, f'{name}.{number}')
    else:
        yield name, config


def _parts(dataset, name: str) -> Iterator:
    if hasattr(dataset, 'datasets'):
        for number, part in enumerate(dataset.datasets):
            yield from _parts(part, f'{name}.{number}')
    elif hasattr(dataset, 'dataset'):
        yield from _parts(dataset.dataset, name)
    elif hasattr(dataset, 'get_data_info'):
        yield name, dataset
