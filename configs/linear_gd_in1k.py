# GD of the paper's table 1: 64.9 % top-1 on ImageNet-1k.
_base_ = [
    './_base_/models/classifier_gd.py',
    './_base_/datasets/in1k.py',
    './_base_/schedules/schedule_28e.py',
    './_base_/default_runtime_cls.py',
]
model = dict(head=dict(type='mmdiff.LinearHead', num_classes=1000, in_channels=1024, pool_size=2))
