# The channels of three timesteps together; the rest is as in its base.
# 32.6 mIoU on the val images after 150 iterations (docs/choosing_t_and_b.md).
_base_ = './upernet_gd-frozen_camvid.py'
model = dict(
    backbone=dict(timestep=(50, 300, 500)),
    # Three times those of a block.
    neck=dict(in_channels=(96, 192, 384, 384)),
)
