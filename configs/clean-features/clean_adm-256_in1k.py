# Clean features of the 256x256 model, on ImageNet's images without labels: 8 images on each of
# 4 GPUs. Iterations and rate are ours; nobody has published any for a model of pixels.
_base_ = [
    '../_base_/models/clean-features_gd.py',
    '../_base_/datasets/in1k.py',
    '../_base_/schedules/schedule_clean-features_1k.py',
    '../_base_/default_runtime_clean-features.py',
]
model = dict(denoiser=dict(with_cp=True))
train_dataloader = dict(batch_size=8)
val_dataloader = dict(batch_size=8)
test_dataloader = None
test_evaluator = None
val_evaluator = dict(_delete_=True, type='mmdiff.FeatureError')
optim_wrapper = dict(optimizer=dict(lr=2e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=200, end=5000),
]
train_cfg = dict(max_iters=5000, val_interval=5000)
default_hooks = dict(checkpoint=dict(interval=500))
