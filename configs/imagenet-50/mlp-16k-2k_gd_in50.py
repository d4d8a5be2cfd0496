# Table 12, MLP-16k-2k: 89.76 % top-1 on ImageNet-50.
_base_ = './mlp-1k-2k_gd_in50.py'
model = dict(head=dict(pool_size=4))
