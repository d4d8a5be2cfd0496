# A small diffusion model of CIFAR-10: 40 minutes on one CPU core.
_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime_pretrain.py']
model = dict(
    type='mmdiff.DenoisingModel',
    arch='adm-32-small',
    # [-1, 1] RGB.
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True
    ),
    amp_dtype='bfloat16',
)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mmdiff.FusedAdamW', lr=1e-3, weight_decay=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=200, end=2400),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2400, val_interval=600)
val_cfg = dict()
val_evaluator = dict(_delete_=True, type='mmdiff.NoiseError')
test_dataloader = None
test_evaluator = None
default_hooks = dict(checkpoint=dict(interval=200))
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    dict(type='EMAHook', ema_type='mmdiff.FusedEMA', momentum=1e-4, gamma=10),
    # The features over training time can be compared by them.
    dict(type='mmdiff.SaveUNetHook', dtype='float16', keep_every=600),
    dict(type='mmdiff.SamplePictureHook'),
]
randomness = dict(seed=0)
