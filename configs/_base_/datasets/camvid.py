# CamVid as split by the SegNet tutorial: 367 train and 101 val street scenes of 480x360.
# An example of a data set of one's own: images, label maps, and the names of the classes.
dataset_type = 'BaseSegDataset'
data_root = 'data/camvid'
metainfo = dict(
    classes=(
        'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car',
        'pedestrian', 'bicyclist',
    ),
    palette=[
        [128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222],
        [128, 128, 0], [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192],
    ],
)  # fmt: skip
crop_size = (320, 320)
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='LoadAnnotations', _scope_='mmdiff'),
    dict(type='RandomResize', scale=(480, 360), ratio_range=(0.75, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='LoadAnnotations', _scope_='mmdiff'),
    dict(type='PackSegInputs'),
]
# For tools/test.py --tta: three sizes, each as it is and flipped.
tta_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(int(480 * ratio), int(360 * ratio)), keep_ratio=True)
                for ratio in (0.75, 1.0, 1.25)
            ],
            [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            # After RandomFlip: predictions are flipped back.
            [dict(type='LoadAnnotations', _scope_='mmdiff')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
