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

    def before_train(self, runner) -> None:
        """Compare the classes of the training data with the model's.

        Args:
            runner (Runner): Has both.

        Raises:
            ValueError: If their numbers differ.
        """
        self._check_classes(runner, runner.train_dataloader.dataset)

    def before_val(self, runner) -> None:
        """As :meth:`before_train`, of the validation data."""
        self._check_classes(runner, runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        """As :meth:`before_train`, of the test data."""
        self._check_classes(runner, runner.test_dataloader.dataset)

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Check a batch of the training data.

        Args:
            runner (Runner): Has the model.
            batch_idx (int): Not used.
            data_batch (dict): The batch, with ``data_samples``.

        Raises:
            ValueError: If a label is none of the model's classes. The message
                names the file.
        """
        self._check_labels(runner, data_batch)

    def before_val_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """As :meth:`before_train_iter`, of the validation data."""
        self._check_labels(runner, data_batch)

    def before_test_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """As :meth:`before_train_iter`, of the test data."""
        self._check_labels(runner, data_batch)

    def _check_classes(self, runner, dataset):
        classes = getattr(dataset, 'metainfo', {}).get('classes')
        for name, head in _heads(runner.model):
            if classes is not None and len(classes) != head.num_classes:
                raise ValueError(
                    f'the data set has {len(classes)} classes ({", ".join(classes[:8])}'
                    f'{", ..." if len(classes) > 8 else ""}), but the model has num_classes='
                    f'{head.num_classes} in its {name}'
                )

    def _check_labels(self, runner, data_batch):
        for name, head in _heads(runner.model):
            ignored = getattr(head, 'ignore_index', None)
            for sample in data_batch['data_samples']:
                # Test data may have none.
                if 'gt_sem_seg' in sample:
                    labels, file = sample.gt_sem_seg.data, sample.get('seg_map_path')
                elif 'gt_label' in sample:
                    labels, file = sample.gt_label, sample.get('img_path')
                else:
                    continue
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
    """The model's heads that have classes, with their names."""
    if is_model_wrapper(model):
        model = model.module
    for name in ('decode_head', 'auxiliary_head', 'head'):
        heads = getattr(model, name, None)
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            if hasattr(head, 'num_classes'):
                yield name, head
