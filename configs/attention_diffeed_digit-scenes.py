# DifFeed with the Attention head; the rest is as in its base.
# 51.4 % of the 500 test scenes, on a U-Net of 1,250 iterations, at t=150
# (docs/classification.md).
_base_ = './attention_gd_digit-scenes.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
