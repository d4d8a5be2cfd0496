# UperNet on a frozen U-Net (not in the paper), at the learning rate of MAE's UperNet.
_base_ = './upernet_gd_ade20k.py'
model = dict(backbone=dict(frozen='all', with_cp=False))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
