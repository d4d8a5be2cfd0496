# From random weights: guided diffusion's classifier in small, trained whole on a CPU in minutes.
_base_ = './attention_gd_digit-scenes.py'
# The encoder of adm-64-small.
arch = dict(
    image_size=64,
    model_channels=32,
    channel_mult=(1, 1, 2, 4),
    num_res_blocks=1,
    attention_resolutions=(8,),
    num_head_channels=32,
    num_outputs=10,
)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.GuidedDiffusionEncoderBackbone',
        arch=arch,
        timestep=0,
        blocks=(9,),
    ),
    head=dict(
        _delete_=True, type='mmdiff.GuidedDiffusionClassifierHead', num_classes=10, arch=arch
    ),
)
