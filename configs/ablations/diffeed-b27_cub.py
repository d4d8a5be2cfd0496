# Table 15, b=27: 70.6 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(blocks=(27,)), head=dict(in_channels=512, feature_size=32))
