# ImageNet-1k at 224x224, for schedules in iterations.
_base_ = './images_224.py'
dataset = dict(type='mmdiff.ImageNet', data_root='data/imagenet')
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler'), dataset=dict(split='train', **dataset)
)
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = val_dataloader
