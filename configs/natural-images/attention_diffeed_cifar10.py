# DifFeed with the Attention head; the rest is as in its base.
# 64.1 % of the held-out images, mean of three seeds, in eight minutes on one core
# (docs/natural_images.md).
_base_ = './attention_gd_cifar10.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
