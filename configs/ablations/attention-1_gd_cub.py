# Table 2, 1 layer: 39.4 % top-1 on CUB.
_base_ = './attention-2_gd_cub.py'
model = dict(head=dict(num_layers=1))
