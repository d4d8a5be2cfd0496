# UperNet on the frozen Stable Diffusion 1.5 (not in the paper), at the learning rate of
# upernet_gd-frozen_ade20k.py.
_base_ = './upernet_sd-1_ade20k.py'
model = dict(backbone=dict(frozen='all', with_cp=False))
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(custom_keys=dict(_delete_=True)))
