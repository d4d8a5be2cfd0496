# Table 13, CNN-1k-1k-256: 88.93 % top-1 on ImageNet-50.
_base_ = './cnn-1k-256-256_gd_in50.py'
model = dict(head=dict(channels=(1024, 256)))
