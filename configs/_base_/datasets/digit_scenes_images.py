# Made by tools/dataset_converters/digit_scenes.py: the images alone, to train a diffusion model on.
# No flip, as digits have a side.
pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='PackInputs'),
]
dataset = dict(
    type='mmdiff.CustomDataset',
    data_root='data/digit_scenes/images',
    with_label=False,
    pipeline=pipeline,
)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(data_prefix='training', **dataset),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_prefix='validation', **dataset),
)
val_evaluator = dict(type='mmdiff.NoiseError')
