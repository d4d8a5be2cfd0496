# Nuclei with both backbones: the U-Net of a diffusion model of the same images, and a ResNet-18
# from random weights.
# 36.2 mask AP after 200 iterations, 33.1 from random weights (docs/baselines.md).
_base_ = './mask-rcnn_gd-small-pretrained_nuclei.py'
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
        in_channels=(32, 64, 128, 128, 64, 128, 256, 512),
        in_strides=(2, 4, 8, 8, 4, 8, 16, 32),
    ),
)
