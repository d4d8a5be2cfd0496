# A linear layer on the frozen Stable Diffusion 1.x, at what the paper most likely calls b=18 (table
# 11): it counts the middle block's three layers one by one, so that its b=15 is the middle block,
# 13 here, and b=18 the third decoder block, 16 here. It names no timestep; 150 is that of its
# linear layer on guided diffusion.
_base_ = './linear_gd.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.StableDiffusionBackbone',
        arch='sd-1',
        timestep=150,
        blocks=(16,),
        frozen='all',
        init_cfg=dict(
            type='Pretrained',
            # Downloaded from the Hugging Face hub; or a folder, or the original single file.
            checkpoint='hf://stable-diffusion-v1-5/stable-diffusion-v1-5',
        ),
    ),
    head=dict(in_channels=1280),
)
