# Table 12, MLP-4k-2k-2k: 88.67 % top-1 on ImageNet-50.
_base_ = './mlp-4k-2k_gd_in50.py'
model = dict(head=dict(hidden_channels=(2048, 2048)))
