# CamVid's images without their labels, to train a diffusion model on: 64x64 crops at about the
# scale at which upernet_gd-small_camvid.py reads them.
data_root = 'data/camvid'
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(
        type='RandomResizedCrop',
        scale=64,
        crop_ratio_range=(0.04, 0.2),
        aspect_ratio_range=(1.0, 1.0),
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='Resize', scale=(240, 180)),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmdiff.CustomDataset',
        data_root=data_root,
        data_prefix='img_dir/train',
        with_label=False,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=101,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmdiff.CustomDataset',
        data_root=data_root,
        data_prefix='img_dir/val',
        with_label=False,
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type='mmdiff.NoiseError')
