# Table 11, null text, b=15, 512: 55.77 % top-1 on ImageNet-1k.
_base_ = './linear_sd-1_in1k.py'
model = dict(backbone=dict(blocks=(13,)))
