# ImageNet-1k at 512x512: centre crop and flip.
_base_ = './in1k.py'
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='mmdiff.ResizeShortEdge', scale=512),
    dict(type='CenterCrop', crop_size=512),
    dict(type='PackInputs'),
]
# For tools/test.py --tta: as it is and flipped.
tta_pipeline = [
    *test_pipeline[:-1],
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            [test_pipeline[-1]],
        ],
    ),
]
train_pipeline = [*test_pipeline[:-1], dict(type='RandomFlip', prob=0.5), test_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
