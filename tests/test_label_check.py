"""Labels that a model has no class for are named, with their file."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

from mmdiff.engine import LabelCheckHook


def head(num_classes, **kwargs):
    return SimpleNamespace(num_classes=num_classes, **kwargs)


def run_of(**heads):
    return SimpleNamespace(model=SimpleNamespace(**heads))


SEGMENTOR = run_of(decode_head=head(3, ignore_index=255), auxiliary_head=None)
CLASSIFIER = run_of(head=head(3))


def batch_of_label_maps(*labels):
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([[labels]])))
    sample.set_metainfo(dict(seg_map_path='a.png'))
    return dict(data_samples=[sample])


def batch_of_classes(*labels):
    samples = [
        DataSample(metainfo=dict(img_path=f'{number}.jpg')).set_gt_label(label)
        for number, label in enumerate(labels)
    ]
    return dict(data_samples=samples)


@pytest.mark.parametrize('stage', ['before_train_iter', 'before_val_iter', 'before_test_iter'])
def test_labels(stage):
    check = getattr(LabelCheckHook(), stage)
    check(SEGMENTOR, 0, batch_of_label_maps(0, 2, 255))
    check(SEGMENTOR, 0, batch_of_label_maps(255, 255))
    check(CLASSIFIER, 0, batch_of_classes(0, 2))
    check(SEGMENTOR, 0, dict(data_samples=[SegDataSample()]))
    # Heads of other kinds, such as for metric learning, have no classes.
    check(run_of(head=SimpleNamespace()), 0, batch_of_classes(0, 3))
    for wrong in (3, -1):
        with pytest.raises(
            ValueError, match=rf'a\.png has label {wrong}, .*=3 in its decode_head, .*ignores 255'
        ):
            check(SEGMENTOR, 0, batch_of_label_maps(0, wrong, 255))
    # A cascade, and one of two auxiliary heads with fewer classes.
    heads = nn.ModuleList([nn.Identity(), nn.Identity()])
    heads[0].num_classes, heads[1].num_classes = 3, 2
    for model in (run_of(decode_head=heads), run_of(decode_head=head(3), auxiliary_head=heads)):
        with pytest.raises(ValueError, match=r'a\.png has label 2, .*num_classes=2 in its'):
            check(model, 0, batch_of_label_maps(0, 2))
    with pytest.raises(ValueError, match=r'1\.jpg has label 3, .*=3 in its head, for .* 0 to 2$'):
        check(CLASSIFIER, 0, batch_of_classes(0, 3))


@pytest.mark.parametrize('stage', ['train', 'val', 'test'])
def test_classes(stage):
    check = getattr(LabelCheckHook(), f'before_{stage}')

    def run(classes):
        dataset = SimpleNamespace(metainfo=dict(classes=classes))
        return SimpleNamespace(
            model=CLASSIFIER.model, **{f'{stage}_dataloader': SimpleNamespace(dataset=dataset)}
        )

    check(run(('cat', 'dog', 'horse')))
    check(run(None))
    check(
        SimpleNamespace(**vars(CLASSIFIER), **{f'{stage}_dataloader': SimpleNamespace(dataset=[])})
    )
    with pytest.raises(
        ValueError, match=r'has 2 classes \(cat, dog\), .* num_classes=3 in its head$'
    ):
        check(run(('cat', 'dog')))
