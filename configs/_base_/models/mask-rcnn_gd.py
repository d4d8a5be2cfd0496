# Mask R-CNN on the unconditional 256x256 guided-diffusion U-Net (paper, section 4.5).
_base_ = './mask-rcnn.py'
# [-1, 1] RGB, what the U-Net was trained on.
data_preprocessor = dict(
    type='DetDataPreprocessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    bgr_to_rgb=True,
    pad_mask=True,
    pad_size_divisor=32,
)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-256-uncond',
        timestep=75,
        blocks=(24,),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://openaipublic.blob.core.windows.net/diffusion/jul-2021/'
            '256x256_diffusion_uncond.pt',
        ),
    ),
    # In place of ViTDet's simple feature pyramid: one feature resized to all levels, and a 3x3
    # convolution with norm on each.
    neck=dict(
        type='mmdiff.FeatureAdapter',
        in_channels=(1024,),
        in_strides=(16,),
        out_channels=256,
        out_strides=(4, 8, 16, 32),
        level_convs=True,
        norm_cfg=dict(type='GN', num_groups=32),
        pooled_level=True,
    ),
)
