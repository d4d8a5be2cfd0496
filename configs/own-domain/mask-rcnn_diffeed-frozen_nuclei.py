# DifFeed on the same frozen U-Net; the feedback layers are trained with the head.
_base_ = './mask-rcnn_gd-frozen_nuclei.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck', timestep=300))
