# On the frozen features of a small U-Net that was trained to denoise digit scenes: minutes on two
# CPU cores.
# 35.2 % of the 500 test scenes, on a U-Net of 1,250 iterations, at t=150
# (docs/classification.md).
_base_ = [
    './_base_/models/classifier_gd-small.py',
    './_base_/datasets/digit_scenes_cls.py',
    './_base_/default_runtime_cls.py',
]
model = dict(
    backbone=dict(
        # The best of docs/analysis.md.
        timestep=500,
        frozen='all',
        init_cfg=dict(type='Pretrained', checkpoint='mmdiff://adm-64-small_digit-scenes.pt'),
    ),
    head=dict(
        type='mmdiff.AttentionHead',
        num_classes=10,
        in_channels=64,
        feature_size=16,
        embed_dims=128,
        num_heads=4,
    ),
)
optim_wrapper = dict(optimizer=dict(type='mmdiff.FusedAdamW', lr=1e-3, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=500),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=500, val_interval=500)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
