# Table 13, CNN-1k-256-256: 88.98 % top-1 on ImageNet-50, at t=90 (figure 9).
_base_ = [
    '../_base_/models/classifier_gd.py',
    '../_base_/datasets/in50.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(
    backbone=dict(timestep=90),
    head=dict(type='mmdiff.CNNHead', num_classes=50, in_channels=1024, channels=(256, 256)),
)
