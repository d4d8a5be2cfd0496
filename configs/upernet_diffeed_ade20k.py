# DifFeed (t=90, B={33, 30, 27, 24}) of the paper's table 6: 44.0 mIoU on ADE20K.
_base_ = './upernet_gd_ade20k.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
