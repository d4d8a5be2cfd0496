# Standardised features of a frozen U-Net (not in the paper).
_base_ = './upernet_gd-frozen_ade20k.py'
model = dict(neck=dict(standardize=True))
