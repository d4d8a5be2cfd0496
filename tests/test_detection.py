"""Mask R-CNN on diffusion features, and COCO-format data with its usual troubles."""

import json
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope
from PIL import Image

import mmdiff.detection  # noqa: F401, as custom_imports does in a config

CLASSES = ('cat', 'dog')


def write_coco(folder, images, categories=CLASSES):
    """COCO-format data: images are (array, [(box xywh, category number), ...])."""
    (folder / 'images').mkdir(parents=True)
    coco = {
        'images': [],
        'annotations': [],
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(categories)],
    }
    for number, (pixels, instances) in enumerate(images):
        name = f'{number:03d}.png'
        Image.fromarray(pixels).save(folder / 'images' / name)
        height, width = pixels.shape[:2]
        coco['images'].append({'id': number, 'file_name': name, 'width': width, 'height': height})
        for (x, y, w, h), category in instances:
            coco['annotations'].append(
                {
                    'id': len(coco['annotations']) + 1,
                    'image_id': number,
                    'category_id': category,
                    'bbox': [x, y, w, h],
                    'area': w * h,
                    'iscrowd': 0,
                    'segmentation': [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )
    (folder / 'annotations.json').write_text(json.dumps(coco))
    return folder


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def dataset(folder, **kwargs):
    init_default_scope('mmdet')
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale_factor=1.0),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(
            type='PackDetInputs',
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
        ),
    ]
    return DATASETS.build(
        dict(
            type='mmdiff.CocoInstances',
            data_root=str(folder),
            ann_file='annotations.json',
            data_prefix=dict(img='images'),
            **(dict(metainfo=dict(classes=CLASSES), pipeline=pipeline) | kwargs),
        )
    )


def detector(root):
    cfg = Config.fromfile(root / 'configs/_base_/models/mask-rcnn_gd-small.py')
    cfg.merge_from_dict(
        {
            'model.roi_head.bbox_head.num_classes': len(CLASSES),
            'model.roi_head.mask_head.num_classes': len(CLASSES),
            # What is found does not matter, only that something is.
            'model.test_cfg.rcnn.score_thr': 0.0,
        }
    )
    init_default_scope('mmdet')
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


TROUBLES = {
    'ordinary': [(pixels(64, 64, 3), [((8, 8, 24, 30), 1), ((30, 20, 20, 20), 2)])] * 2,
    'one image without instances': [
        (pixels(64, 64, 3), [((8, 8, 24, 30), 1)]),
        (pixels(64, 64, 3), []),
    ],
    'no instances at all': [(pixels(64, 64, 3), [])] * 2,
    '1-pixel box': [(pixels(64, 64, 3), [((20, 30, 1, 1), 1)])] * 2,
    'box at the edge, partly outside': [(pixels(64, 64, 3), [((-10, 50, 30, 40), 1)])] * 2,
    'grey-scale': [(pixels(64, 64), [((8, 8, 24, 30), 1)])] * 2,
    'odd sides': [
        (pixels(45, 77, 3), [((8, 8, 24, 30), 1)]),
        (pixels(61, 33, 3), [((8, 8, 24, 30), 2)]),
    ],
}


@pytest.mark.parametrize('trouble', TROUBLES)
def test_trains_and_predicts(trouble, root, tmp_path):
    data = dataset(write_coco(tmp_path / 'coco', TROUBLES[trouble]))
    samples = [data[number] for number in range(len(data))]
    assert len(samples) == 2
    model = detector(root).train()
    batch = model.data_preprocessor(pseudo_collate(samples), training=True)
    losses = model(**batch, mode='loss')
    loss, _ = model.parse_losses(losses)
    assert loss.isfinite()
    loss.backward()
    # DDP waits for all of them, also where there is no instance to learn from.
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())

    with torch.no_grad():
        results = model.eval().test_step(pseudo_collate(samples))
    for (image, _), result in zip(TROUBLES[trouble], results, strict=True):
        found = result.pred_instances
        height, width = image.shape[:2]
        assert len(found) > 0
        assert found.masks.shape[1:] == (height, width)
        assert (found.bboxes >= 0).all()
        assert (found.bboxes[:, 2] <= width).all()
        assert (found.bboxes[:, 3] <= height).all()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"images": [', 'is not JSON'),
        ('{"images": [], "categories": []}', "is not in COCO format: it has no list 'annotations'"),
        ('[]', 'is not in COCO format'),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1}]}',
            "is not in COCO format: an entry has no 'name'",
        ),
        (
            '{"images": [{"file_name": "1.png"}], "annotations": [], "categories": []}',
            "is not in COCO format: an entry has no 'id'",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}',
            'has no images',
        ),
    ],
)
def test_bad_annotation_file(content, message, tmp_path):
    (tmp_path / 'annotations.json').write_text(content)
    with pytest.raises(ValueError, match=rf'annotations\.json {re.escape(message)}'):
        dataset(tmp_path)


def test_missing_annotation_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'annotations\.json'):
        dataset(tmp_path)


def test_other_class_names(tmp_path):
    """MMDetection would train on no instance at all."""
    folder = write_coco(tmp_path / 'coco', TROUBLES['ordinary'])
    with pytest.raises(
        ValueError, match=r"lacks the classes \['horse'\] of metainfo; it has \['cat', 'dog'\]"
    ):
        dataset(folder, metainfo=dict(classes=('cat', 'horse')))


def test_other_class_order(tmp_path):
    """MMDetection would take the file's order, and call every cat a dog."""
    folder = write_coco(tmp_path / 'coco', TROUBLES['ordinary'])
    with pytest.raises(ValueError, match=r"in the order of .*, \['cat', 'dog'\], got \['dog', 'c"):
        dataset(folder, metainfo=dict(classes=('dog', 'cat')))


def test_boxes_without_masks(tmp_path):
    folder = write_coco(tmp_path / 'coco', TROUBLES['ordinary'])
    content = json.loads((folder / 'annotations.json').read_text())
    del content['annotations'][2]['segmentation']
    (folder / 'annotations.json').write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r'annotation 3 of 001\.png has no segmentation, but the pipe'
    ):
        dataset(folder)
    boxes = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
    assert len(dataset(folder, pipeline=boxes)) == 2


def test_filter_that_leaves_nothing(tmp_path):
    folder = write_coco(tmp_path / 'coco', TROUBLES['no instances at all'])
    with pytest.raises(ValueError, match='leaves none of the 2 images'):
        dataset(folder, filter_cfg=dict(filter_empty_gt=True))
    folder = write_coco(tmp_path / 'one', TROUBLES['one image without instances'])
    assert len(dataset(folder, filter_cfg=dict(filter_empty_gt=True))) == 1


def test_a_subset_of_the_classes(tmp_path):
    folder = write_coco(tmp_path / 'coco', TROUBLES['ordinary'])
    data = dataset(folder, metainfo=dict(classes=('dog',)))
    assert [i['bbox_label'] for i in data.get_data_info(0)['instances']] == [0]


def test_config_of_the_guide(root, tmp_path):
    """The config for data of one's own in docs/detection.md."""
    guide = (root / 'docs/detection.md').read_text()
    page = re.search(r'```python\n(.*?)```', guide, re.S)[1]
    path = tmp_path / 'mine.py'
    path.write_text(page.replace('/path/to/mmdiff', str(root)))
    cfg = Config.fromfile(path)
    for split, loader in (('train', 'train_dataloader'), ('val', 'test_dataloader')):
        used = cfg[loader].dataset
        assert used.data_root == 'data/mine'
        assert used.ann_file == f'annotations/{split}.json'
        assert used.metainfo.classes == ('nucleus',)
        assert used.type == 'mmdiff.CocoInstances'
    assert cfg.test_evaluator.ann_file == 'data/mine/annotations/val.json'
    assert cfg.model.roi_head.bbox_head.num_classes == 1
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters == 5000
