# Table 16, DifFormer: 94.2 % top-1 on ImageNet-50.
_base_ = [
    '../_base_/models/difformer_gd.py',
    '../_base_/datasets/in50.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=50))
