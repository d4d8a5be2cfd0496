"""Labels that a model has no class for are named, with their file."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from mmpretrain.structures import DataSample
from mmseg.models.decode_heads import FCNHead, STDCHead
from mmseg.structures import SegDataSample
from torch import nn

from mmdiff.engine import LabelCheckHook

STAGES = ('train', 'val', 'test')


def head(num_classes, **kwargs):
    return SimpleNamespace(num_classes=num_classes, **kwargs)


def run_of(dataset=(), **heads):
    loaders = {f'{stage}_dataloader': SimpleNamespace(dataset=dataset) for stage in STAGES}
    return SimpleNamespace(model=SimpleNamespace(**heads), val_loop=True, **loaders)


@pytest.fixture(params=STAGES)
def check(request):
    """The hook, at the beginning of a stage and at a batch of it."""

    def check_batch(runner, batch):
        hook = LabelCheckHook()
        getattr(hook, f'before_{request.param}')(runner)
        getattr(hook, f'before_{request.param}_iter')(runner, 0, batch)

    return check_batch


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


def test_labels(check):
    segmentor = run_of(decode_head=head(3, ignore_index=255), auxiliary_head=None)
    check(segmentor, batch_of_label_maps(0, 2, 255))
    check(segmentor, batch_of_label_maps(255, 255))
    check(segmentor, dict(data_samples=[SegDataSample()]))
    for wrong in (3, -1):
        message = rf'a\.png has label {wrong}, .*=3 in its decode_head, .*ignores 255'
        with pytest.raises(ValueError, match=message):
            check(segmentor, batch_of_label_maps(0, wrong, 255))
    classifier = run_of(head=head(3))
    check(classifier, batch_of_classes(0, 2))
    with pytest.raises(ValueError, match=r'1\.jpg has label 3, .*=3 in its head, for .* 0 to 2$'):
        check(classifier, batch_of_classes(0, 3))


def test_instances(check):
    sample = DetDataSample(metainfo=dict(img_path='1.jpg'))
    sample.gt_instances = InstanceData(labels=torch.tensor([0, 3]))
    batch = dict(data_samples=[sample])
    check(run_of(roi_head=SimpleNamespace(bbox_head=head(4))), batch)
    with pytest.raises(ValueError, match=r'1\.jpg has label 3, .*=3 in its roi_head.bbox_head'):
        check(run_of(roi_head=SimpleNamespace(bbox_head=head(3))), batch)
    # Instances of no class.
    sample.gt_instances = InstanceData(bboxes=torch.zeros(2, 4))
    check(run_of(roi_head=SimpleNamespace(bbox_head=head(3))), batch)


def test_heads(check):
    # Heads of other kinds, such as for metric learning, have no classes.
    check(run_of(head=SimpleNamespace()), batch_of_classes(0, 3))
    # A cascade, and one of two auxiliary heads with fewer classes.
    heads = nn.ModuleList([nn.Identity(), nn.Identity()])
    heads[0].num_classes, heads[1].num_classes = 3, 2
    for model in (run_of(decode_head=heads), run_of(decode_head=head(3), auxiliary_head=heads)):
        with pytest.raises(ValueError, match=r'a\.png has label 2, .*num_classes=2 in its'):
            check(model, batch_of_label_maps(0, 2))
    settings = dict(in_channels=4, channels=4, num_classes=2)
    # It learns edges, of two classes.
    edges = STDCHead(boundary_threshold=0.1, **settings)
    check(run_of(decode_head=head(3), auxiliary_head=edges), batch_of_label_maps(0, 2))
    # These learn the classes, the second by a loss of its own.
    for heads in (dict(auxiliary_head=FCNHead(**settings)), dict(decode_head=edges)):
        with pytest.raises(ValueError, match=r'a\.png has label 2, .*num_classes=2 in its'):
            check(run_of(**heads), batch_of_label_maps(0, 2))


def test_distributed_model(check):
    model = nn.Module()
    model.head = nn.Identity()
    model.head.num_classes = 3
    run = run_of()
    run.model = nn.DataParallel(model)
    with pytest.raises(ValueError, match=r'1\.jpg has label 3'):
        check(run, batch_of_classes(0, 3))


def test_classes(check):
    def run(classes):
        return run_of(SimpleNamespace(metainfo=dict(classes=classes)), head=head(3))

    check(run(('cat', 'dog', 'horse')), batch_of_classes(0))
    check(run(None), batch_of_classes(0))
    message = r'has 2 classes \(cat, dog\), .* num_classes=3 in its head$'
    with pytest.raises(ValueError, match=message):
        check(run(('cat', 'dog')), batch_of_classes(0))
    # Other tasks, such as depth, have other labels.
    check(run(('cat', 'dog')), dict(data_samples=[SegDataSample()]))
