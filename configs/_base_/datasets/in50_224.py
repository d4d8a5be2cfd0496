# ImageNet-50 at 224x224 (paper, table 7).
_base_ = './images_224.py'
dataset = dict(type='mmdiff.ImageNet50', data_root='data/imagenet')
train_dataloader = dict(dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = val_dataloader
