# Table 2, 2 layers, and table 3, T={150}, B={24}: 45.7 % top-1 on 1 % of ImageNet.
_base_ = [
    '../_base_/models/attention_gd.py',
    '../_base_/datasets/in1k-1pct.py',
    '../_base_/schedules/schedule_15e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
