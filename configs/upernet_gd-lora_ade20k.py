# Low-rank adapters of a frozen U-Net (not in the paper), at the learning rate of MAE's UperNet.
_base_ = './upernet_gd_ade20k.py'
model = dict(backbone=dict(lora=dict(rank=16)))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
