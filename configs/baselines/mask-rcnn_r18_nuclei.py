# Nuclei with a ResNet-18, trained from random weights, as the backbone.
# 9.5 mask AP after 200 iterations (docs/baselines.md).
_base_ = '../mask-rcnn_gd-small_nuclei.py'
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], pad_size_divisor=32
    ),
    backbone=dict(_delete_=True, type='ResNet', depth=18, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=(64, 128, 256, 512), in_strides=(4, 8, 16, 32)),
)
