# Images at 224x224, for backbones that were trained at it: centre crop of 256 pixels on the shorter
# side, and flip, no random crop. The pages that inherit this say which.
_base_ = './images_256.py'
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
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
