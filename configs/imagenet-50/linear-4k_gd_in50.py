# Table 12, Linear-4k: 89.41 % top-1 on ImageNet-50.
_base_ = './linear-1k_gd_in50.py'
model = dict(head=dict(pool_size=2))
