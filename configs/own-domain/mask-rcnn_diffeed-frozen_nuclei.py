# DifFeed on the same frozen U-Net; the feedback layers are trained with the head.
# 13.2 mask AP on the val images after 150 iterations (docs/choosing_t_and_b.md).
_base_ = './mask-rcnn_gd-frozen_nuclei.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck', timestep=300))
