# Images at 256x256: centre crop and flip, no random crop (paper, section 4), resized as in the
# released code. The pages that inherit this say which.
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='mmdiff.ResizeShortEdge', scale=256),
    dict(type='CenterCrop', crop_size=256),
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
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
