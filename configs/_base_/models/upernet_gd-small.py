# A U-Net and a UperNet that train on a CPU in minutes, for small images.
_base_ = './upernet_gd.py'
model = dict(
    # As {33, 30, 27, 24} in the large one: the last residual block of each decoder level but the
    # finest; the coarsest level is fed by the middle block.
    backbone=dict(arch='adm-64-small', blocks=(14, 12, 10, 9), init_cfg=None),
    neck=dict(
        in_channels=(32, 64, 128, 128),
        in_strides=(2, 4, 8, 8),
        out_channels=64,
        out_strides=(2, 4, 8, 16),
    ),
    decode_head=dict(in_channels=[64, 64, 64, 64], channels=64),
    auxiliary_head=dict(in_channels=64, channels=64),
)
