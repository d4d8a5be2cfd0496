# What pretraining is worth: the main job on a U-Net frozen at random weights, all else the same.
# 32.5 mIoU on the 500 test scenes, likewise (docs/results.md).
_base_ = './upernet_gd_digit-scenes.py'
model = dict(backbone=dict(init_cfg=None))
