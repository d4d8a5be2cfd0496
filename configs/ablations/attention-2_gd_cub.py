# Table 2, 2 layers, and table 3, T={150}, B={24}: 47.4 % top-1 on CUB.
_base_ = [
    '../_base_/models/attention_gd.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/schedule_15e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=200))
