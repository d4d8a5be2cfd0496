# CUB-200-2011: 200 birds (paper, table 7).
_base_ = './images_256.py'
dataset = dict(type='mmdiff.CUB', data_root='data/CUB_200_2011')
train_dataloader = dict(dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
