# Linear probe of SwAV on Stanford Cars (paper, figure 7).
_base_ = [
    '../_base_/models/linear_swav-r50.py',
    '../_base_/datasets/cars_224.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=196))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
