# DifFormer of the paper's table 1: 76.0 % top-1 on ImageNet-1k.
_base_ = './linear_gd_in1k.py'
model = dict(
    backbone=dict(timestep=(90, 150, 300), blocks=(19, 24, 30)),
    head=dict(
        _delete_=True,
        type='mmdiff.DifFormerHead',
        num_classes=1000,
        in_channels=(1024, 1024, 512),
        feature_sizes=(8, 16, 64),
        num_timesteps=3,
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
