# A small U-Net, from random weights, on microscope images. 42.8 mask AP on the 60 val images, in 6
# minutes on two cores of an AMD EPYC (docs/results.md).
_base_ = [
    './_base_/models/mask-rcnn_gd-small.py',
    './_base_/datasets/nuclei.py',
    './_base_/schedules/schedule_10e.py',
    './_base_/default_runtime_det.py',
]
model = dict(
    # Half of the nuclei are smaller than 16 pixels.
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64))),
    # There are up to 151 in an image.
    test_cfg=dict(rcnn=dict(max_per_img=200)),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=0.05), paramwise_cfg=dict(bias_decay_mult=0.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=400),
]
train_cfg = dict(max_iters=400, val_interval=400)
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
