# UperNet on clean features of one timestep, frozen; all else as in upernet_gd_digit-scenes.py.
# 20.2 mIoU on the 500 test scenes after 250 iterations (docs/choosing_t_and_b.md).
_base_ = '../upernet_gd_digit-scenes.py'
model = dict(
    backbone=dict(
        timestep=0,
        noise='clean',
        eval_noise='clean',
        init_cfg=dict(checkpoint='work_dirs/clean_adm-64-small_digit-scenes/unet.pt'),
    ),
    neck=dict(in_channels=(32, 64, 128, 128)),
)
