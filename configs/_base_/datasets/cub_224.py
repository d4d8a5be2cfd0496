# CUB-200-2011 at 224x224: 200 birds (paper, table 7).
_base_ = './images_224.py'
dataset = dict(type='mmdiff.CUB', data_root='data/CUB_200_2011')
train_dataloader = dict(dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
