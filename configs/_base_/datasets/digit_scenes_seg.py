# Made by tools/dataset_converters/digit_scenes.py, in ADE20K's layout.
dataset_type = 'BaseSegDataset'
data_root = 'data/digit_scenes'
metainfo = dict(
    classes=('background', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'),
    palette=[
        [32, 32, 32], [31, 119, 180], [255, 127, 14], [44, 160, 44], [214, 39, 40],
        [148, 103, 189], [140, 86, 75], [227, 119, 194], [160, 160, 160], [188, 189, 34],
        [23, 190, 207],
    ],
)  # fmt: skip
# Training and testing alike; no flip, as digits have a side. mmseg.apis looks for the name.
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='LoadAnnotations', _scope_='mmdiff', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
# For tools/test.py --tta: three sizes.
tta_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=(size, size), keep_ratio=True) for size in (48, 64, 80)],
            [dict(type='LoadAnnotations', _scope_='mmdiff', reduce_zero_label=True)],
            [dict(type='PackSegInputs')],
        ],
    ),
]
dataset = dict(
    type=dataset_type,
    data_root=data_root,
    metainfo=metainfo,
    reduce_zero_label=True,
    pipeline=test_pipeline,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        **dataset,
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path='images/test', seg_map_path='annotations/test'), **dataset
    ),
)
val_dataloader = {
    **test_dataloader,
    'dataset': dict(
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        **dataset,
    ),
}
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
