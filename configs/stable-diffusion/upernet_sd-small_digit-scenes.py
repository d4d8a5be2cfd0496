# A small U-Net of Stable Diffusion's kind, from random weights: it shows that all parts run.
# Its autoencoder is random too, and frozen, so that latents tell little of an image.
_base_ = '../upernet_gd_digit-scenes.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.StableDiffusionBackbone',
        arch='sd-64-small',
        timestep=10,
        # Random latents are small beside noise.
        noise='none',
        eval_noise='none',
        blocks=(13, 11, 9, 7),
        vae_channels=(32, 32, 64, 64),
    ),
    neck=dict(in_channels=(32, 64, 128, 128), in_strides=(8, 8, 16, 32)),
)
