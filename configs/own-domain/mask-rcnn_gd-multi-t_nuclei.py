# The channels of three timesteps together; the rest is as in its base.
_base_ = './mask-rcnn_gd-frozen_nuclei.py'
model = dict(
    backbone=dict(timestep=(50, 300, 500)),
    # Three times those of a block.
    neck=dict(in_channels=(96, 192, 384, 384)),
)
