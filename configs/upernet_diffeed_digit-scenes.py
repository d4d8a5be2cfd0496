# The main job with feedback: everything but the backbone is as in its base.
_base_ = './upernet_gd_digit-scenes.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
