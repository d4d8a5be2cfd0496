# A yardstick of today that the paper does not have: UperNet as ours, on a frozen DINOv2 ViT-B/14.
# It pads 512x512 to 518x518, the size of its position embedding.
_base_ = '../upernet_gd-frozen_ade20k.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='base',
        img_size=518,
        patch_size=14,
        layer_scale_init_value=1e-5,
        # A quarter, a half, three quarters, and the end.
        out_indices=(2, 5, 8, 11),
        out_type='featmap',
        frozen_stages=12,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmpretrain/v1.0/dinov2/'
            'vit-base-p14_dinov2-pre_3rdparty_20230426-ba246503.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=(768, 768, 768, 768), in_strides=(14, 14, 14, 14)),
)
