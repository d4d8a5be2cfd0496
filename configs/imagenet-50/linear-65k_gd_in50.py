# Table 12, Linear-65k: 88.28 % top-1 on ImageNet-50.
_base_ = './linear-1k_gd_in50.py'
model = dict(head=dict(pool_size=8))
