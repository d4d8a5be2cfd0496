# A frozen DINOv2 ViT-S/14 with DINOv2's linear head.
_base_ = './linear_dinov2-vit-b_ade20k.py'
model = dict(
    backbone=dict(
        arch='dinov2-small',
        init_cfg=dict(
            checkpoint='https://mmassets.onedl.ai/mmpretrain/v1.0/dinov2/'
            'vit-small-p14_dinov2-pre_3rdparty_20230426-5641ca5a.pth',
        ),
    ),
    neck=dict(in_channels=(384,)),
    decode_head=dict(in_channels=384, channels=384),
)
