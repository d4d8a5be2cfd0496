# Table 4, all: 31.1 % top-1 on 1 % of ImageNet.
_base_ = './diffeed-bottleneck_in1k-1pct.py'
model = dict(backbone=dict(feedback='all'))
