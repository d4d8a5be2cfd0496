# A ResNet-18 from random weights, with the data and the budget of
# upernet_gd-frozen_texture-mosaics.py.
# 17.5 mIoU with 10 labels after 150 iterations, mean of three seeds (docs/few_labels.md).
_base_ = './upernet_gd-frozen_texture-mosaics.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True, type='ResNet', depth=18, out_indices=(0, 1, 2, 3), style='pytorch'
    ),
    neck=None,
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
