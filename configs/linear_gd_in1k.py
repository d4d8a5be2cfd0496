# GD of the paper's table 1: 64.9 % top-1 on ImageNet-1k.
_base_ = [
    './_base_/models/linear_gd.py',
    './_base_/datasets/in1k.py',
    './_base_/schedules/schedule_in1k_28e.py',
    './_base_/default_runtime_cls.py',
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
