# A linear probe of a small diffusion model of CIFAR-10. 62.2 % of the 5,000 held-out images, mean
# of three seeds, in two minutes on one core of an AMD EPYC (docs/natural_images.md).
_base_ = [
    '../_base_/models/classifier_gd-small.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(
    backbone=dict(
        arch='adm-32-small',
        timestep=30,
        # The first decoder block: 8x8, 128 channels.
        blocks=(8,),
        frozen='all',
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/pretrain_adm-32-small_cifar10/unet.pt'
        ),
    ),
    head=dict(type='mmdiff.LinearHead', num_classes=10, in_channels=128, pool_size=4),
)
# The rate and length are the best of comparisons/heads_cifar10.yml.
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(type='mmdiff.FusedAdamW', lr=1e-2, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=1200),
]
# 0.85 of an epoch.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1200, val_interval=1200)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
