# A linear layer on the frozen DiT-XL/2 of 256 px (not in the paper), at half its depth, trained as
# those on Stable Diffusion (table 11).
_base_ = [
    '../_base_/models/linear_gd.py',
    '../_base_/datasets/in1k.py',
    '../_base_/schedules/schedule_in1k_15e.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.DiffusionTransformerBackbone',
        arch='dit-xl-2',
        timestep=150,
        blocks=(14,),
        frozen='all',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/DiT/models/DiT-XL-2-256x256.pt',
            vae='hf://stabilityai/sd-vae-ft-ema',
        ),
    ),
    head=dict(in_channels=1152),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
