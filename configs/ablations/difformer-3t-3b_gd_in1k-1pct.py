# Table 3, T={90,150,300}, B={19,24,30}: 50.4 % top-1 on 1 % of ImageNet.
_base_ = [
    '../_base_/models/difformer_gd.py',
    '../_base_/datasets/in1k-1pct.py',
    '../_base_/schedules/schedule_15e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
