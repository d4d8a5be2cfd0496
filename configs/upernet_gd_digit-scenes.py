# A small U-Net, from random weights, on digit scenes: minutes on two CPU cores.
_base_ = [
    './_base_/models/upernet_gd-small.py',
    './_base_/datasets/digit_scenes_seg.py',
    './_base_/schedules/schedule_16k.py',
    './_base_/default_runtime_seg.py',
]
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(timestep=10),
    decode_head=dict(num_classes=11),
    auxiliary_head=dict(num_classes=11),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=800),
]
train_cfg = dict(max_iters=800, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=100))
