# DifFormer on FGVC-Aircraft (paper, figure 7).
_base_ = [
    '../_base_/models/difformer_gd.py',
    '../_base_/datasets/aircraft.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=100))
