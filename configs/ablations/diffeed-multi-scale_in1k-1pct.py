# Table 4, multi-scale: 49.4 % top-1 on 1 % of ImageNet.
_base_ = './diffeed-bottleneck_in1k-1pct.py'
model = dict(backbone=dict(feedback='multi-scale'))
