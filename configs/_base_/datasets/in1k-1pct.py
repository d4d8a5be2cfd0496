# ImageNet-1k with 1 % of its labels: SimCLR's list of 12,811 images, 12 or 13 of each class, which
# tools/dataset_converters/image_list.py brings into MMPretrain's form (docs/classification.md).
_base_ = './images_256.py'
dataset = dict(type='mmdiff.ImageNet', data_root='data/imagenet')
train_dataloader = dict(dataset=dict(split='train', ann_file='meta/train_1percent.txt', **dataset))
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = val_dataloader
