# Table 12, Linear-1k: 87.20 % top-1 on ImageNet-50, at t=90 (figure 9).
_base_ = [
    '../_base_/models/linear_gd.py',
    '../_base_/datasets/in50.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(backbone=dict(timestep=90), head=dict(num_classes=50, pool_size=1))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
