# ImageNet-1k as the released code crops it, although the paper says that it does not crop randomly.
_base_ = './in1k.py'
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='mmdiff.ResizeShortEdge', scale=(256, 320)),
    dict(type='RandomCrop', crop_size=256),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
