# Table 15, b=30: 67.2 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(blocks=(30,)), head=dict(in_channels=512, feature_size=64))
