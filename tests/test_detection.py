"""Mask R-CNN on diffusion features, and COCO-format data with its usual troubles."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, PARAM_SCHEDULERS, init_default_scope
from PIL import Image

import mmdiff.detection  # noqa: F401, as custom_imports does in a config

ROOT = Path(__file__).parent.parent
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


def with_heads_of_vitdet(model):
    """On a feature of half the stride, as all strides are halved in the small model."""
    vitdet = Config.fromfile(ROOT / 'configs/_base_/models/mask-rcnn_vitdet.py').model
    model.backbone.blocks = (10,)
    model.neck = dict(vitdet.neck, in_channels=128, out_channels=64)
    model.rpn_head.num_convs = vitdet.rpn_head.num_convs
    for head in ('bbox_head', 'mask_head'):
        of_vitdet = vitdet.roi_head[head]
        model.roi_head[head] |= dict(
            type=of_vitdet.type, norm_cfg=of_vitdet.norm_cfg, conv_out_channels=64
        )


def detector(heads='light'):
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/mask-rcnn_gd-small.py')
    cfg.merge_from_dict(
        {
            'model.roi_head.bbox_head.num_classes': len(CLASSES),
            'model.roi_head.mask_head.num_classes': len(CLASSES),
            # What is found does not matter, only that something is.
            'model.test_cfg.rcnn.score_thr': 0.0,
        }
    )
    if heads == 'vitdet':
        with_heads_of_vitdet(cfg.model)
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


@pytest.mark.parametrize(
    ('trouble', 'heads'),
    [
        *((trouble, 'light') for trouble in TROUBLES),
        ('no instances at all', 'vitdet'),
        ('odd sides', 'vitdet'),
    ],
)
def test_trains_and_predicts(trouble, heads, tmp_path):
    data = dataset(write_coco(tmp_path / 'coco', TROUBLES[trouble]))
    samples = [data[number] for number in range(len(data))]
    assert len(samples) == 2
    model = detector(heads).train()
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


# In detectron2's configs/common/models/mask_rcnn_vitdet.py, on a ViT-L, whose feature has 1024
# channels as block 24 has. Its names stand beside ours where they differ.
CONV = (256, 256, 3, 3)
NORM = [(256,), (256,)]
VITDET = {
    'neck': [
        # simfp_2 to simfp_5
        (1024, 512, 2, 2), (512,), (512,), (512,), (512, 256, 2, 2), (256,),
        (256, 256, 1, 1), *NORM, CONV, *NORM,
        (1024, 512, 2, 2), (512,), (256, 512, 1, 1), *NORM, CONV, *NORM,
        (256, 1024, 1, 1), *NORM, CONV, *NORM,
        (256, 1024, 1, 1), *NORM, CONV, *NORM,
    ],
    'rpn_head': {
        'rpn_conv.0.conv.weight': CONV, 'rpn_conv.0.conv.bias': (256,),  # conv.conv0
        'rpn_conv.1.conv.weight': CONV, 'rpn_conv.1.conv.bias': (256,),  # conv.conv1
        'rpn_cls.weight': (3, 256, 1, 1), 'rpn_cls.bias': (3,),  # objectness_logits
        'rpn_reg.weight': (12, 256, 1, 1), 'rpn_reg.bias': (12,),  # anchor_deltas
    },
    'bbox_head': {
        # conv1 to conv4, and their norm
        **{f'shared_convs.{i}.conv.weight': CONV for i in range(4)},
        **{f'shared_convs.{i}.ln.{name}': (256,) for i in range(4) for name in ('weight', 'bias')},
        'shared_fcs.0.weight': (1024, 256 * 7 * 7), 'shared_fcs.0.bias': (1024,),  # fc1
        'fc_cls.weight': (81, 1024), 'fc_cls.bias': (81,),  # cls_score
        'fc_reg.weight': (320, 1024), 'fc_reg.bias': (320,),  # bbox_pred
    },
    'mask_head': {
        # mask_fcn1 to mask_fcn4, and their norm
        **{f'convs.{i}.conv.weight': CONV for i in range(4)},
        **{f'convs.{i}.ln.{name}': (256,) for i in range(4) for name in ('weight', 'bias')},
        'upsample.weight': (256, 256, 2, 2), 'upsample.bias': (256,),  # deconv
        'conv_logits.weight': (80, 256, 1, 1), 'conv_logits.bias': (80,),  # predictor
    },
}  # fmt: skip


@pytest.fixture(scope='module')
def coco_config():
    return Config.fromfile(ROOT / 'configs/mask-rcnn_gd_coco.py')


@pytest.mark.parametrize('part', VITDET)
def test_heads_and_neck_are_vitdets(part, coco_config):
    init_default_scope('mmdet')
    cfg = coco_config.model.get(part) or coco_config.model.roi_head[part]
    with torch.device('meta'):
        module = MODELS.build(cfg)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert (list(shapes.values()) if part == 'neck' else shapes) == VITDET[part]
    norms = [m for m in module.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert all(norm.eps == 1e-6 for norm in norms)


@pytest.mark.parametrize('training', [True, False])
def test_images_are_padded_to_1024(training, coco_config, tmp_path):
    """With the mean colour on the right and below, as ViTDet; boxes are clipped to the image."""
    folder = write_coco(tmp_path / 'coco', [(pixels(30, 40, 3), [((8, 8, 24, 20), 1)])])
    loader = coco_config.train_dataloader if training else coco_config.test_dataloader
    data = dataset(folder, pipeline=loader.dataset.pipeline)
    preprocessor = MODELS.build(coco_config.model.data_preprocessor)
    batch = preprocessor(pseudo_collate([data[0]]), training=training)
    (image,), (sample,) = batch['inputs'], batch['data_samples']
    assert image.shape == (3, 1024, 1024)
    height, width = sample.img_shape
    assert sample.batch_input_shape == (1024, 1024)
    assert (image[:, height:] == 0).all()
    assert (image[:, :, width:] == 0).all()
    assert image[:, :height, :width].std() > 0.1
    if training:
        assert sample.gt_instances.masks.masks.shape[1:] == (1024, 1024)
    else:
        assert (height, width) == (768, 1024)


def test_warm_up_takes_16000_images(coco_config):
    """ViTDet's 250 iterations of 64; the steps are at its shares of the way."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    warm_up, steps = coco_config.param_scheduler
    scheduler = PARAM_SCHEDULERS.build(dict(warm_up, optimizer=OptimWrapper(optimizer)))
    rates = []
    for _ in range(4002):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    for iteration in (0, 1, 1000, 3998, 4001):
        expected = min(1e-3 + (1 - 1e-3) * iteration / 3999, 1)
        assert rates[iteration] == pytest.approx(expected, rel=1e-6)
    shares = [milestone / steps.end for milestone in steps.milestones]
    assert shares == pytest.approx([163889 / 184375, 177546 / 184375], abs=1e-4)
    assert coco_config.auto_scale_lr.base_batch_size * 4000 == 250 * 64


def test_weight_decay_of_all_but_norms(coco_config):
    """As detectron2's common/optim.py."""
    init_default_scope('mmdet')
    neck = MODELS.build(dict(coco_config.model.neck, in_channels=8, out_channels=4))
    optimizer = build_optim_wrapper(neck, coco_config.optim_wrapper).optimizer
    norms = {
        id(p) for m in neck.modules() if isinstance(m, torch.nn.LayerNorm) for p in m.parameters()
    }
    for group in optimizer.param_groups:
        for parameter in group['params']:
            assert group['weight_decay'] == (0 if id(parameter) in norms else 0.1)


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
