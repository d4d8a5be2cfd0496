# Table 11, null text, b=18, 256: 41.37 % top-1 on ImageNet-1k.
_base_ = [
    '../_base_/models/linear_sd.py',
    '../_base_/datasets/in1k.py',
    '../_base_/schedules/schedule_in1k_15e.py',
    '../_base_/default_runtime_cls.py',
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
