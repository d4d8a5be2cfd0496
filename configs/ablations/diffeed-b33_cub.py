# Table 15, b=33: 56.6 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(blocks=(33,)), head=dict(in_channels=256, feature_size=128))
