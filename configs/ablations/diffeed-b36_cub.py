# Table 15, b=36: 49.8 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(blocks=(36,)), head=dict(in_channels=256, feature_size=256))
