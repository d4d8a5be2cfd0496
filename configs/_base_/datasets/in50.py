# ImageNet-50, with lists that tools/dataset_converters/image_list.py makes (paper, table 7).
_base_ = './images_256.py'
dataset = dict(type='mmdiff.ImageNet50', data_root='data/imagenet')
train_dataloader = dict(dataset=dict(split='train', **dataset))
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = val_dataloader
