# A ResNet-18, with the narrow heads of upernet_gd-small.py.
_base_ = './upernet_r50.py'
model = dict(
    backbone=dict(depth=18),
    decode_head=dict(in_channels=[64, 128, 256, 512], channels=64),
    auxiliary_head=dict(in_channels=256, channels=64),
)
