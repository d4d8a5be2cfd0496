# Fusion, which the paper does not have: our U-Net as in table 6, and beside it a frozen DINOv2
# ViT-B/14. Each level of UperNet gets a block of both.
_base_ = '../upernet_gd_ade20k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.FusedBackbone',
        branches=[
            dict(backbone={{_base_.model.backbone}}),
            dict(
                backbone=dict(
                    type='mmpretrain.VisionTransformer',
                    arch='base',
                    img_size=518,
                    patch_size=14,
                    layer_scale_init_value=1e-5,
                    out_indices=(2, 5, 8, 11),
                    out_type='featmap',
                    init_cfg=dict(
                        type='Pretrained',
                        checkpoint='https://mmassets.onedl.ai/mmpretrain/v1.0/dinov2/'
                        'vit-base-p14_dinov2-pre_3rdparty_20230426-ba246503.pth',
                        prefix='backbone.',
                    ),
                ),
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                # Patches of 14 pixels for those of 16.
                scale=(14, 16),
                frozen=True,
            ),
        ],
    ),
    neck=dict(
        in_channels=(256, 512, 512, 1024, 768, 768, 768, 768),
        in_strides=(2, 4, 8, 16, 16, 16, 16, 16),
    ),
)
