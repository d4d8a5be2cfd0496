# Low-rank adapters of the frozen U-Net; the rest is as in its base.
_base_ = './mask-rcnn_gd-frozen_nuclei.py'
model = dict(backbone=dict(noise='random', lora=dict(rank=8)))
