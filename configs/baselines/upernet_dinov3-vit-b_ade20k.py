# A yardstick of today that the paper does not have: UperNet as ours, on a frozen DINOv3 ViT-B/16,
# from timm (pip install timm), which downloads the weights from the Hugging Face hub. Their
# licence is DINOv3's.
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
                    model_name='vit_base_patch16_dinov3.lvd1689m',
                    features_only=True,
                    pretrained=True,
                    # A quarter, a half, three quarters, and the end.
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
    neck=dict(in_channels=(768, 768, 768, 768), in_strides=(16, 16, 16, 16)),
)
