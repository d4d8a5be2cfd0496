# The main job on digit scenes with both backbones: the frozen U-Net of a diffusion model, and a
# ResNet-18 that is trained from random weights.
# 25.6 mIoU on the 500 test scenes after 300 iterations (docs/baselines.md).
_base_ = '../upernet_gd_digit-scenes.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.FusedBackbone',
        branches=[
            dict(backbone={{_base_.model.backbone}}),
            dict(
                backbone=dict(type='ResNet', depth=18, out_indices=(0, 1, 2, 3)),
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
            ),
        ],
    ),
    neck=dict(
        in_channels=(96, 192, 384, 384, 64, 128, 256, 512),
        in_strides=(2, 4, 8, 8, 4, 8, 16, 32),
    ),
)
