# What pretraining is worth: the main job on a U-Net frozen at random weights, all else the same.
_base_ = './upernet_gd_digit-scenes.py'
model = dict(backbone=dict(init_cfg=None))
