# The main job on digit scenes with a ResNet-18, trained from random weights, as its backbone.
# 23.5 mIoU on the 500 test scenes after 250 iterations (docs/choosing_t_and_b.md).
_base_ = '../upernet_gd_digit-scenes.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(_delete_=True, type='ResNet', depth=18, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=(64, 128, 256, 512), in_strides=(4, 8, 16, 32)),
)
