# Table 3, T={90,150,300}, B={19,24,30}: 56.8 % top-1 on CUB.
_base_ = [
    '../_base_/models/difformer_gd.py',
    '../_base_/datasets/cub.py',
    '../_base_/schedules/schedule_15e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=200))
