# Table 14, Attention-1K-3: 92.01 % top-1 on ImageNet-50.
_base_ = './attention-1k-1_gd_in50.py'
model = dict(head=dict(num_layers=3))
