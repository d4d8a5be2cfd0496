# As mae_segmentation, MAE's UperNet on ADE20K: 160k iterations of 16 crops at lr 1e-4.
_base_ = './schedule_16k.py'
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=0, end=160000),
]
train_cfg = dict(max_iters=160000, val_interval=16000)
auto_scale_lr = dict(base_batch_size=16)
