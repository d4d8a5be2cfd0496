# Made by tools/dataset_converters/digit_scenes.py: the class is the digit with most pixels.
dataset_type = 'mmdiff.CustomDataset'
data_root = 'data/digit_scenes/classification'
# Training and testing alike; no flip, as digits have a side.
pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    # The scenes have it; other images are seen as one.
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackInputs'),
]
dataset = dict(type=dataset_type, data_root=data_root, pipeline=pipeline)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(data_prefix='training', **dataset),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_prefix='validation', **dataset),
)
test_dataloader = {**val_dataloader, 'dataset': dict(data_prefix='test', **dataset)}
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
