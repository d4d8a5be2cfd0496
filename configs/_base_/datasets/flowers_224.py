# Oxford 102 Flowers at 224x224, training and validation images to train (paper, table 7).
_base_ = './images_224.py'
dataset = dict(type='mmdiff.Flowers102', data_root='data/flowers102')
train_dataloader = dict(dataset=dict(split='trainval', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
