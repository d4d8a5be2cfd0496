# Stanford Cars at 224x224: 196 classes (paper, table 7).
_base_ = './images_224.py'
dataset = dict(type='mmdiff.StanfordCars', data_root='data/stanford_cars')
train_dataloader = dict(dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
