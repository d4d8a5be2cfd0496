# NABirds at 224x224: 555 classes (paper, table 7).
_base_ = './images_224.py'
dataset = dict(type='mmdiff.NABirds', data_root='data/nabirds')
train_dataloader = dict(dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
