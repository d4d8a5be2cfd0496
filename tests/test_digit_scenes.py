"""Digit scenes, read back through the real data set classes of each package."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

SCRIPT = 'tools/dataset_converters/digit_scenes.py'
SPLITS = ('training', 'validation', 'test')


def semantic_map(scenes, split, number):
    return np.array(Image.open(scenes / 'annotations' / split / f'{number:06d}.png'))


def annotations(scenes, split):
    return json.loads((scenes / 'annotations' / f'instances_{split}.json').read_text())


def build(scope, **cfg):
    with DefaultScope.overwrite_default_scope(scope):
        return DATASETS.build(cfg)


def test_semantic_layout(root, digit_scenes):
    cfg = Config.fromfile(root / 'configs/_base_/datasets/digit_scenes_seg.py')
    for loader, length in (('train_dataloader', 32), ('val_dataloader', 8), ('test_dataloader', 8)):
        dataset = build('mmseg', **cfg[loader].dataset | dict(data_root=str(digit_scenes)))
        assert len(dataset) == length
        sample = dataset[0]
        assert sample['inputs'].shape == (3, 64, 64)
        labels = sample['data_samples'].gt_sem_seg.data.unique().tolist()
        assert labels[0] == 0
        assert len(labels) > 1
        assert labels[-1] <= 10


def test_coco_layout_agrees_with_the_semantic_maps(digit_scenes):
    dataset = build(
        'mmdet',
        type='CocoDataset',
        data_root=str(digit_scenes),
        ann_file='annotations/instances_training.json',
        data_prefix=dict(img='images/training/'),
        metainfo=dict(classes=tuple('0123456789')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='PackDetInputs'),
        ],
    )
    assert len(dataset) == 32
    for number in range(32):
        instances = dataset[number]['data_samples'].gt_instances
        drawn = np.ones((64, 64), np.uint8)
        for label, mask, box in zip(
            instances.labels, instances.masks.masks, instances.bboxes.tensor, strict=True
        ):
            drawn[mask > 0] = label + 2
            rows, columns = np.nonzero(mask)
            edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == edges
        assert (drawn == semantic_map(digit_scenes, 'training', number)).all()


def test_classification_layout(digit_scenes):
    dataset = build(
        'mmpretrain', type='CustomDataset', data_root=str(digit_scenes / 'classification/training')
    )
    assert len(dataset) == 32
    assert list(dataset.CLASSES) == list('0123456789')
    for number in range(32):
        info = dataset.get_data_info(number)
        scene = int(info['img_path'].split('/')[-1].split('.')[0])
        pixels = np.bincount(semantic_map(digit_scenes, 'training', scene).ravel(), minlength=12)
        assert pixels[info['gt_label'] + 2] == pixels[2:].max()


def test_splits_share_no_digit_image(digit_scenes):
    drawn = {
        split: {a['digit_index'] for a in annotations(digit_scenes, split)['annotations']}
        for split in SPLITS
    }
    assert not drawn['training'] & drawn['validation']
    assert not drawn['training'] & drawn['test']
    assert not drawn['validation'] & drawn['test']


def test_is_deterministic_and_more_scenes_do_not_change_the_first(digit_scenes, tmp_path, run):
    more, other = tmp_path / 'more', tmp_path / 'other'
    run('python', SCRIPT, more, '--num-train=40', '--num-val=1', '--num-test=1')
    run('python', SCRIPT, other, '--num-train=1', '--num-val=1', '--num-test=1', '--seed=1')
    name = 'images/training/000000.jpg'
    assert (more / name).read_bytes() == (digit_scenes / name).read_bytes()
    assert (other / name).read_bytes() != (digit_scenes / name).read_bytes()
    name = 'annotations/training/000031.png'
    assert (more / name).read_bytes() == (digit_scenes / name).read_bytes()


def test_making_them_again(digit_scenes, tmp_path, run):
    arguments = ('--num-train=32', '--num-val=8', '--num-test=8')
    assert 'already has these scenes' in run('python', SCRIPT, digit_scenes, *arguments)
    printed = run('python', SCRIPT, digit_scenes, '--size=96', *arguments, fails=True)
    assert 'has other content' in printed
    (tmp_path / 'mine').mkdir()
    printed = run('python', SCRIPT, tmp_path / 'mine', fails=True)
    assert 'has other content (no settings.json' in printed


@pytest.mark.parametrize('argument', ['--num-train=0', '--size=16'])
def test_bad_arguments(tmp_path, run, argument):
    assert 'must be at least' in run('python', SCRIPT, tmp_path / 'x', argument, fails=True)
