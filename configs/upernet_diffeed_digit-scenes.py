# DifFeed on the same frozen U-Net, at one timestep; the feedback layers are trained with the
# UperNet. The rest is as in its base.
# 24.2 mIoU on the 500 test scenes after 250 iterations (docs/choosing_t_and_b.md).
_base_ = './upernet_gd_digit-scenes.py'
model = dict(
    backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck', timestep=300),
    neck=dict(in_channels=(32, 64, 128, 128)),
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
