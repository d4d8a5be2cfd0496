# A copy of the 256x256 guided-diffusion U-Net that learns features of clean images.
model = dict(
    type='mmdiff.CleanFeatures',
    # [-1, 1] RGB.
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True
    ),
    denoiser=dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-256-uncond',
        timestep=0,
        # The middle block, and those of upernet_gd.py.
        blocks=(19, 24, 27, 30, 33),
        amp_dtype='bfloat16',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://openaipublic.blob.core.windows.net/diffusion/jul-2021/'
            '256x256_diffusion_uncond.pt',
        ),
    ),
)
