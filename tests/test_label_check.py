"""Labels that a model has no class for are named, with their file."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from mmdiff.engine import LabelCheckHook

SEGMENTOR = SimpleNamespace(
    model=SimpleNamespace(decode_head=SimpleNamespace(num_classes=3, ignore_index=255))
)
CLASSIFIER = SimpleNamespace(model=SimpleNamespace(head=SimpleNamespace(num_classes=3)))


def batch_of_label_maps(*labels):
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([[labels]], dtype=torch.uint8)))
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
    with pytest.raises(ValueError, match=r'a\.png has label 3, .* num_classes=3, .*ignores 255'):
        check(SEGMENTOR, 0, batch_of_label_maps(0, 3))
    with pytest.raises(ValueError, match=r'1\.jpg has label 3, .* num_classes=3, for .* 0 to 2$'):
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
    with pytest.raises(ValueError, match=r'has 2 classes \(cat, dog\), .* num_classes=3$'):
        check(run(('cat', 'dog')))
