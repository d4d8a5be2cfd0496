# Mask R-CNN on the unconditional 256x256 guided-diffusion U-Net (paper, section 4.5), with the
# heads and the neck of ViTDet.
_base_ = './mask-rcnn_vitdet.py'
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
    neck=dict(in_channels=1024),
)
