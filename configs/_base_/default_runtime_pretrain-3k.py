# 3,000 iterations of a small diffusion model, which is kept in half precision.
_base_ = './default_runtime_pretrain.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=200, end=3000),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3000, val_interval=500)
val_cfg = dict()
default_hooks = dict(checkpoint=dict(interval=250))
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    dict(type='EMAHook', ema_type='mmdiff.FusedEMA', momentum=1e-4, gamma=10),
    dict(type='mmdiff.SaveUNetHook', dtype='float16'),
    dict(type='mmdiff.SamplePictureHook'),
]
randomness = dict(seed=0)
