# Table 13, CNN-1k-512-256: 88.67 % top-1 on ImageNet-50.
_base_ = './cnn-1k-256-256_gd_in50.py'
model = dict(head=dict(channels=(512, 256)))
