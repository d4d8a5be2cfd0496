# Table 2, 4 layers: 47.9 % top-1 on 1 % of ImageNet.
_base_ = './attention-2_gd_in1k-1pct.py'
model = dict(head=dict(num_layers=4))
