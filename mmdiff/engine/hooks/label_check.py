"""Labels that a model would learn or score wrong: before a run a sample, then all that is read."""

import logging

from mmengine.hooks import Hook
from torch import nn

from mmdiff.datasets.check import check_datasets
from mmdiff.engine.unwrapping import unwrapped
from mmdiff.registry import HOOKS


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Stop a run at data that a model would learn or score wrong.

    Before training or a test, :func:`mmdiff.datasets.check.check_datasets`
    looks at a sample of the files of each split, so that a bad label of the
    validation data is not found after training. Then each batch is checked
    for labels that are none of the model's classes: PyTorch stops in training
    with an index that is out of bounds, on a GPU somewhere later, and
    MMSegmentation leaves such pixels out of a score.
    """

    def __init__(self):
        self._classes = {}

    def before_train(self, runner) -> None:
        """Check a sample of the training and validation data.

        Args:
            runner (Runner): Has the data sets.

        Raises:
            ValueError: If something is wrong. The message names the files.
        """
        datasets = {'train': runner.train_dataloader.dataset}
        if runner.val_loop is not None:
            datasets['val'] = runner.val_dataloader.dataset
        self._classes['train'] = _classes(datasets['train'])
        _check_samples(runner, datasets)

    def before_val(self, runner) -> None:
        """Note the classes of the validation data."""
        self._classes['val'] = _classes(runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        """As :meth:`before_train`, of the test data."""
        dataset = runner.test_dataloader.dataset
        self._classes['test'] = _classes(dataset)
        _check_samples(runner, {'test': dataset})

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Check a batch of the training data.

        Args:
            runner (Runner): Has the model.
            batch_idx (int): Not used.
            data_batch (dict): The batch, with ``data_samples``.

        Raises:
            ValueError: If the data set and the model have different numbers of
                classes, or if a label is none of the model's classes. The
                message names the file.
        """
        _check(runner.model, self._classes['train'], data_batch)

    def before_val_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """As :meth:`before_train_iter`, of the validation data."""
        _check(runner.model, self._classes['val'], data_batch)

    def before_test_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """As :meth:`before_train_iter`, of the test data."""
        _check(runner.model, self._classes['test'], data_batch)


def _check_samples(runner, datasets):
    report = check_datasets(datasets)
    for line in report.warnings:
        runner.logger.log(logging.WARNING, line)
    if report.errors:
        raise ValueError(
            'the data cannot be used (tools/check_data.py checks all of it):\n'
            + '\n'.join(report.errors)
        )


def _classes(dataset):
    return getattr(dataset, 'metainfo', {}).get('classes')


def _check(model, classes, data_batch):
    for sample in _samples(data_batch):
        # Test data may have none, and other tasks have other ones.
        if 'gt_sem_seg' in sample:
            labels, file = sample.gt_sem_seg.data, sample.get('seg_map_path')
        elif 'gt_label' in sample:
            labels, file = sample.gt_label, sample.get('img_path')
        elif 'labels' in sample.get('gt_instances', ()):
            labels, file = sample.gt_instances.labels, sample.get('img_path')
        else:
            continue
        for name, head in _heads(model):
            if classes is not None and len(classes) != head.num_classes:
                raise ValueError(
                    f'the data set has {len(classes)} classes ({", ".join(map(str, classes[:8]))}'
                    f'{", ..." if len(classes) > 8 else ""}), but the model has num_classes='
                    f'{head.num_classes} in its {name}'
                )
            ignored = getattr(head, 'ignore_index', None)
            wrong = (labels < 0) | (labels >= head.num_classes)
            if ignored is not None:
                wrong &= labels != ignored
            if wrong.any():
                raise ValueError(
                    f'{file} has label {int(labels[wrong][0])}, but the model has num_classes='
                    f'{head.num_classes} in its {name}, for labels from 0 to '
                    f'{head.num_classes - 1}'
                    + ('' if ignored is None else f', and ignores {ignored}')
                )


def _samples(data_batch):
    """Of test-time augmentation, those of one view, as all have the same labels."""
    # Images without labels may come without samples.
    samples = data_batch.get('data_samples') or [()]
    return samples[0] if isinstance(samples[0], list | tuple) else samples


def _heads(model):
    """The model's heads for the classes of the data set, with their names."""
    model = unwrapped(model)
    for name in ('decode_head', 'auxiliary_head', 'head', 'bbox_head', 'roi_head.bbox_head'):
        heads = model
        for part in name.split('.'):
            heads = getattr(heads, part, None)
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            # One with a loss of its own may learn something else, such as edges.
            own_loss = name == 'auxiliary_head' and 'loss_by_feat' in vars(type(head))
            if hasattr(head, 'num_classes') and not own_loss:
                yield name, head
