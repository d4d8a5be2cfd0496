# UperNet as ours, on a frozen DINOv3 ViT-S/16 (pip install timm).
_base_ = '../upernet_gd-frozen_ade20k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        # A branch alone: it freezes what has no setting for it.
        type='mmdiff.FusedBackbone',
        branches=[
            dict(
                backbone=dict(
                    type='mmpretrain.TIMMBackbone',
                    model_name='vit_small_patch16_dinov3.lvd1689m',
                    features_only=True,
                    pretrained=True,
                    out_indices=(2, 5, 8, 11),
                ),
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                # Pads what is no multiple of a patch.
                scale=(16, 16),
                frozen=True,
            )
        ],
    ),
    neck=dict(in_channels=(384, 384, 384, 384), in_strides=(16, 16, 16, 16)),
)
