# Table 11, Guided Diffusion: 61.86 % top-1 on ImageNet-1k after 15 epochs.
_base_ = '../linear_gd_in1k.py'
param_scheduler = [
    dict(type='StepLR', step_size=70064, gamma=0.1, by_epoch=False, begin=0, end=150137)
]
train_cfg = dict(max_iters=150137)
