# DifFormer of the paper's table 1: 76.0 % top-1 on ImageNet-1k.
_base_ = [
    './_base_/models/difformer_gd.py',
    './_base_/datasets/in1k.py',
    './_base_/schedules/schedule_in1k_28e.py',
    './_base_/default_runtime_cls.py',
]
