# DifFeed with the Attention head; the rest is as in its base.
# 59.1 % of the held-out images (docs/natural_images.md).
_base_ = './attention_gd_cifar10.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
