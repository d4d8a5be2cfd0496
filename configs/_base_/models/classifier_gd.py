# MMPretrain's classifier on the frozen unconditional 256x256 guided-diffusion U-Net, at the paper's
# default feature map (section 4): t=150, b=24. A head comes from the config that inherits this.
model = dict(
    type='ImageClassifier',
    # [-1, 1] RGB, what the U-Net was trained on.
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True),
    backbone=dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-256-uncond',
        timestep=150,
        blocks=(24,),
        frozen='all',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://openaipublic.blob.core.windows.net/diffusion/jul-2021/'
            '256x256_diffusion_uncond.pt',
        ),
    ),
)
