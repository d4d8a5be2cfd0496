# DifFormer: the middle block and the last of each of the two coarsest decoder levels, at three
# timesteps; the rest is as in its base.
# 61.9 % of the held-out images, mean of three seeds, in eleven minutes on one core
# (docs/natural_images.md).
_base_ = './linear_gd_cifar10.py'
model = dict(
    backbone=dict(timestep=(10, 30, 90), blocks=(7, 8, 10)),
    head=dict(
        _delete_=True,
        type='mmdiff.DifFormerHead',
        num_classes=10,
        in_channels=(128, 128, 64),
        feature_sizes=(8, 8, 16),
        pool_size=4,
        num_timesteps=3,
        embed_dims=128,
        num_heads=4,
    ),
)
# The best of comparisons/heads_cifar10.yml.
optim_wrapper = dict(optimizer=dict(lr=3e-3))
