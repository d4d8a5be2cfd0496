# UperNet on the unconditional 256x256 guided-diffusion U-Net (paper, section 4.4).
# [-1, 1] RGB, what the U-Net was trained on.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
)
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-256-uncond',
        timestep=90,
        blocks=(33, 30, 27, 24),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://openaipublic.blob.core.windows.net/diffusion/jul-2021/'
            '256x256_diffusion_uncond.pt',
        ),
    ),
    # Appendix 7.3: 1x1 convolution to 1024 channels, then bilinear interpolation.
    neck=dict(
        type='mmdiff.FeatureAdapter',
        in_channels=(256, 512, 512, 1024),
        in_strides=(2, 4, 8, 16),
        out_channels=1024,
        out_strides=(4, 8, 16, 32),
    ),
    # As MAE ViT-L's: UperNet of width 1024.
    decode_head=dict(
        type='UPerHead',
        in_channels=[1024, 1024, 1024, 1024],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=1024,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=1024,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
