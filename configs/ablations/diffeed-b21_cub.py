# Table 15, b=21: 65.1 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(blocks=(21,)), head=dict(in_channels=1024, feature_size=8))
