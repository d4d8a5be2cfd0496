# Images of one's own without labels, in one folder, to train a diffusion model on, at the scale at
# which own_seg.py reads them. mmdiff.InMemoryTrainLoop reads them once, and crops.
data_root = 'data/mine'
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='ResizeEdge', scale=128, edge='short'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='ResizeEdge', scale=128, edge='short'),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]
dataset = dict(
    type='mmdiff.CustomDataset', data_root=data_root, data_prefix='images', with_label=False
)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(**dataset, pipeline=train_pipeline),
)
# The middles of the first hundred, as nothing else is held back.
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=test_pipeline, indices=100),
)
val_evaluator = dict(type='mmdiff.NoiseError')
