# A small diffusion transformer, from random weights: it shows that all parts run.
# Its autoencoder is random too, and frozen, so that latents tell little of an image.
_base_ = '../upernet_gd_digit-scenes.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.DiffusionTransformerBackbone',
        arch='dit-64-small',
        timestep=10,
        # Random latents are small beside noise.
        noise='none',
        eval_noise='none',
        blocks=(1, 2, 3, 4),
        vae_channels=(32, 32, 64, 64),
    ),
    neck=dict(in_channels=(128, 128, 128, 128), in_strides=(16, 16, 16, 16)),
)
