# Table 4, windowed: 67.1 % top-1 on CUB.
_base_ = './diffeed-bottleneck_cub.py'
model = dict(backbone=dict(feedback='windowed'))
