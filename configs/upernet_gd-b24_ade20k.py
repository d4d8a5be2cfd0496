# GD (t=90, b=24) of the paper's table 6: 42.3 mIoU on ADE20K. One feature for all four levels.
_base_ = './upernet_gd_ade20k.py'
model = dict(
    backbone=dict(blocks=(24,)),
    neck=dict(in_channels=(1024,), in_strides=(16,)),
)
