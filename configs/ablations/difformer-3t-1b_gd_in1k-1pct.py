# Table 3, T={90,150,300}, B={24}: 49.0 % top-1 on 1 % of ImageNet.
_base_ = './difformer-3t-3b_gd_in1k-1pct.py'
model = dict(backbone=dict(blocks=(24,)), head=dict(in_channels=(1024,), feature_sizes=(16,)))
