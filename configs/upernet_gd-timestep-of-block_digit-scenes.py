# A timestep for each block, so that the neck's features are those of one; the rest is as in its
# base.
_base_ = './upernet_gd_digit-scenes.py'
model = dict(
    backbone=dict(timestep={'_delete_': True, 14: 50, 12: 300, 10: 500, 9: 500}),
    neck=dict(in_channels=(32, 64, 128, 128)),
)
