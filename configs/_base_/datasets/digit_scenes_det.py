# Made by tools/dataset_converters/digit_scenes.py, in COCO's layout.
dataset_type = 'mmdiff.CocoInstances'
data_root = 'data/digit_scenes'
metainfo = dict(
    classes=('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'),
    palette=[
        (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
        (140, 86, 75), (227, 119, 194), (160, 160, 160), (188, 189, 34), (23, 190, 207),
    ],
)  # fmt: skip
# Training and testing alike; no flip, as digits have a side.
pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    # At its own size; Mask R-CNN wants the scale factor that this notes.
    dict(type='Resize', scale_factor=1.0),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
dataset = dict(type=dataset_type, data_root=data_root, metainfo=metainfo, pipeline=pipeline)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/instances_training.json',
        data_prefix=dict(img='images/training'),
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='annotations/instances_validation.json',
        data_prefix=dict(img='images/validation'),
        test_mode=True,
        **dataset,
    ),
)
test_dataloader = {
    **val_dataloader,
    'dataset': dict(
        ann_file='annotations/instances_test.json',
        data_prefix=dict(img='images/test'),
        test_mode=True,
        **dataset,
    ),
}
val_evaluator = dict(
    type='CocoMetric',
    ann_file=f'{data_root}/annotations/instances_validation.json',
    metric=['bbox', 'segm'],
)
test_evaluator = {**val_evaluator, 'ann_file': f'{data_root}/annotations/instances_test.json'}
