# As pretrain_adm-32-small_cifar10.py, at a constant rate, so that features can be compared at any
# number of images, up to ten million (222 epochs). Error of the predicted noise 0.0281 after 8,000
# iterations (11.4 epochs) in 117 minutes, on two cores of an AMD EPYC (docs/natural_images.md). Not
# run to its end, which takes 38 hours there.
_base_ = './pretrain_adm-32-small_cifar10.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=200),
    dict(type='ConstantLR', factor=1.0, by_epoch=False, begin=200, end=156250),
]
train_cfg = dict(max_iters=156250, val_interval=1600)
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    dict(type='EMAHook', ema_type='mmdiff.FusedEMA', momentum=1e-4, gamma=10),
    dict(type='mmdiff.SaveUNetHook', dtype='float16', keep_every=1600),
    dict(type='mmdiff.SamplePictureHook'),
]
