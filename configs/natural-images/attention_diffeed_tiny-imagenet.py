# DifFeed with the Attention head; the rest is as in its base.
_base_ = './attention_gd_tiny-imagenet.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
