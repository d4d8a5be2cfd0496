# Table 13, CNN-1k-4k-2k: 89.89 % top-1 on ImageNet-50.
_base_ = './cnn-1k-256-256_gd_in50.py'
model = dict(head=dict(channels=(4096, 2048)))
