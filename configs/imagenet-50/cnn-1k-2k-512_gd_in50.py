# Table 13, CNN-1k-2k-512: 89.19 % top-1 on ImageNet-50.
_base_ = './cnn-1k-256-256_gd_in50.py'
model = dict(head=dict(channels=(2048, 512)))
