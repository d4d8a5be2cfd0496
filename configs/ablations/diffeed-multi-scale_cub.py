# Table 4, multi-scale: 66.0 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(feedback='multi-scale'))
