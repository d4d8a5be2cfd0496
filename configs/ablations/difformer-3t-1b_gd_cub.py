# Table 3, T={90,150,300}, B={24}: 54.1 % top-1 on CUB.
_base_ = './difformer-3t-3b_gd_cub.py'
model = dict(backbone=dict(blocks=(24,)), head=dict(in_channels=(1024,), feature_sizes=(16,)))
