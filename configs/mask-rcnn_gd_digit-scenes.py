# A small U-Net, from random weights, on digit scenes. 55.5 mask AP on the 500 test scenes, in 5
# minutes on two cores of an AMD EPYC (docs/results.md).
_base_ = [
    './_base_/models/mask-rcnn_gd-small.py',
    './_base_/datasets/digit_scenes_det.py',
    './_base_/schedules/schedule_10e.py',
    './_base_/default_runtime_det.py',
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=10), mask_head=dict(num_classes=10)),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=0.05), paramwise_cfg=dict(bias_decay_mult=0.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=900),
]
train_cfg = dict(max_iters=900, val_interval=900)
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
