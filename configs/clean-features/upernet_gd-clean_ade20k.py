# UperNet on clean features of the 256x256 model, frozen; the rest is upernet_gd-frozen_ade20k.py.
_base_ = '../upernet_gd-frozen_ade20k.py'
model = dict(
    backbone=dict(
        timestep=0,
        noise='clean',
        eval_noise='clean',
        init_cfg=dict(checkpoint='work_dirs/clean_adm-256_in1k/unet.pt'),
    )
)
