# Table 2, 4 layers: 52.0 % top-1 on CUB.
_base_ = './attention-2_gd_cub.py'
model = dict(head=dict(num_layers=4))
