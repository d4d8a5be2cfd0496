# DifFormer: the middle block and the last residual block of the two coarsest decoder levels, at
# three timesteps; the rest is as in its base.
_base_ = './linear_gd_tiny-imagenet.py'
model = dict(
    backbone=dict(timestep=(10, 30, 90), blocks=(13, 15, 18)),
    head=dict(
        _delete_=True,
        type='mmdiff.DifFormerHead',
        num_classes=100,
        in_channels=(512, 512, 384),
        feature_sizes=(8, 8, 16),
        num_timesteps=3,
        embed_dims=512,
    ),
)
# The best on CIFAR-10.
optim_wrapper = dict(optimizer=dict(lr=3e-3))
