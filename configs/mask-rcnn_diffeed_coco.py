# DifFeed in front of Mask R-CNN (not in the paper).
_base_ = './mask-rcnn_gd_coco.py'
model = dict(backbone=dict(type='mmdiff.DifFeedBackbone', feedback='bottleneck'))
