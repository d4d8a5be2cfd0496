# Stanford Dogs at 224x224: 120 breeds (paper, table 7).
_base_ = './images_224.py'
dataset = dict(type='mmdiff.StanfordDogs', data_root='data/stanford_dogs')
train_dataloader = dict(dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
