# A small U-Net, from random weights, on CamVid at half size. 32.2 mIoU on the 101 val images, in 4
# minutes on two cores of an AMD EPYC (docs/results.md).
_base_ = [
    './_base_/models/upernet_gd-small.py',
    './_base_/datasets/camvid.py',
    './_base_/schedules/schedule_16k.py',
    './_base_/default_runtime_seg.py',
]
crop_size = (160, 160)
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='LoadAnnotations', _scope_='mmdiff'),
    dict(type='RandomResize', scale=(240, 180), ratio_range=(0.9, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='Resize', scale=(240, 180), keep_ratio=True),
    # After Resize: predictions are compared at the size of the labels.
    dict(type='LoadAnnotations', _scope_='mmdiff'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(int(240 * ratio), int(180 * ratio)), keep_ratio=True)
                for ratio in (0.75, 1.0, 1.25)
            ],
            [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            # After RandomFlip: predictions are flipped back.
            [dict(type='LoadAnnotations', _scope_='mmdiff')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
# As on digit scenes: the packages' std of 0.01 is slow from scratch.
init_cfg = dict(type='Normal', std=0.1, override=dict(name='conv_seg'))
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(timestep=10),
    decode_head=dict(num_classes=11, init_cfg=init_cfg),
    auxiliary_head=dict(num_classes=11, init_cfg=init_cfg),
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=250),
]
train_cfg = dict(max_iters=250, val_interval=250)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(checkpoint=dict(interval=100))
