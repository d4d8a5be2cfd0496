"""Labels that a model has no class for."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from mmdiff.registry import HOOKS


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Stop a segmentor's or classifier's run at labels that are none of its classes.

    PyTorch stops in training with an index that is out of bounds, on a GPU
    somewhere later, and MMSegmentation leaves such pixels out of a score.
    """

    def __init__(self):
        self._classes = {}

    def before_train(self, runner) -> None:
        """Note the classes of the training data.

        Args:
            runner (Runner): Has the data set.
        """
        self._classes['train'] = _classes(runner.train_dataloader.dataset)

    def before_val(self, runner) -> None:
        """As :meth:`before_train`, of the validation data."""
        self._classes['val'] = _classes(runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        """As :meth:`before_train`, of the test data."""
        self._classes['test'] = _classes(runner.test_dataloader.dataset)

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


def _classes(dataset):
    return getattr(dataset, 'metainfo', {}).get('classes')


def _check(model, classes, data_batch):
    for sample in data_batch['data_samples']:
        # Test data may have none, and other tasks have other ones.
        if 'gt_sem_seg' in sample:
            labels, file = sample.gt_sem_seg.data, sample.get('seg_map_path')
        elif 'gt_label' in sample:
            labels, file = sample.gt_label, sample.get('img_path')
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


def _heads(model):
    """The model's heads for the classes of the data set, with their names."""
    if is_model_wrapper(model):
        model = model.module
    for name in ('decode_head', 'auxiliary_head', 'head'):
        heads = getattr(model, name, None)
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            # One with a loss of its own may learn something else, such as edges.
            own_loss = name == 'auxiliary_head' and 'loss_by_feat' in vars(type(head))
            if hasattr(head, 'num_classes') and not own_loss:
                yield name, head
