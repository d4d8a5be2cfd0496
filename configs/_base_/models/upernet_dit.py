# UperNet on DiT-XL/2. All blocks have stride 16; these are six apart, and leave out the last ones,
# whose task is the noise. The paper does not have it: the choice is ours.
_base_ = './upernet_gd.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.DiffusionTransformerBackbone',
        arch='dit-xl-2-512',
        timestep=90,
        blocks=(6, 12, 18, 24),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/DiT/models/DiT-XL-2-512x512.pt',
            vae='hf://stabilityai/sd-vae-ft-ema',
        ),
    ),
    neck=dict(in_channels=(1152, 1152, 1152, 1152), in_strides=(16, 16, 16, 16)),
)
