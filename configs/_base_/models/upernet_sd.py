# UperNet on Stable Diffusion 1.x: the last block of each decoder level but the finest, and the
# middle block for the coarsest map. The paper does not have it: the choice is ours.
_base_ = './upernet_gd.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.StableDiffusionBackbone',
        arch='sd-1',
        timestep=90,
        blocks=(22, 19, 16, 13),
        init_cfg=dict(
            type='Pretrained',
            # Downloaded from the Hugging Face hub; or a folder, or the original single file.
            checkpoint='hf://stable-diffusion-v1-5/stable-diffusion-v1-5',
        ),
    ),
    neck=dict(in_channels=(640, 1280, 1280, 1280), in_strides=(8, 16, 32, 64)),
)
