# DifFeed of the paper's table 1.
_base_ = './attention_gd.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
