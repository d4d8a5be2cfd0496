# A small diffusion model of CIFAR-10. Error of the predicted noise 0.0291 after 4,800 iterations
# (6.8 epochs) in 83 minutes, on one core of an AMD EPYC beside another training
# (docs/natural_images.md).
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
# The loop flips.
train_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mmdiff.FusedAdamW', lr=1e-3, weight_decay=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=200, end=4800),
]
train_cfg = dict(
    type='mmdiff.InMemoryTrainLoop',
    max_iters=4800,
    val_interval=800,
    crop_size=32,
    flip=('horizontal',),
)
val_cfg = dict()
val_evaluator = dict(_delete_=True, type='mmdiff.NoiseError')
test_dataloader = None
test_evaluator = None
default_hooks = dict(checkpoint=dict(interval=400))
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    dict(type='EMAHook', ema_type='mmdiff.FusedEMA', momentum=1e-4, gamma=10),
    # The features over training time can be compared by them.
    dict(type='mmdiff.SaveUNetHook', dtype='float16', keep_every=800),
    dict(type='mmdiff.SamplePictureHook'),
]
randomness = dict(seed=0)
