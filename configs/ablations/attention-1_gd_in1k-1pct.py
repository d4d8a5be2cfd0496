# Table 2, 1 layer: 40.4 % top-1 on 1 % of ImageNet.
_base_ = './attention-2_gd_in1k-1pct.py'
model = dict(head=dict(num_layers=1))
