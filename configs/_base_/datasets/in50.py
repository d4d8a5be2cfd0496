# ImageNet-50, with lists that tools/dataset_converters/image_list.py makes (paper, table 7).
_base_ = './images_256.py'
dataset = dict(type='mmdiff.CustomDataset', data_root='data/imagenet')
train_dataloader = dict(dataset=dict(data_prefix='train', ann_file='meta/train_50.txt', **dataset))
val_dataloader = dict(dataset=dict(data_prefix='val', ann_file='meta/val_50.txt', **dataset))
test_dataloader = val_dataloader
