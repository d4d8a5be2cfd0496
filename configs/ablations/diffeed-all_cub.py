# Table 4, all: 57.2 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(feedback='all'))
