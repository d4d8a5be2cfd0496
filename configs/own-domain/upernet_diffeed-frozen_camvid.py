# DifFeed on the same frozen U-Net; the feedback layers are trained with the head.
_base_ = './upernet_gd-frozen_camvid.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck', timestep=300))
