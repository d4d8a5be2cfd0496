# DifFormer: three blocks (the middle one, and the last residual block of the two coarsest decoder
# levels) at three timesteps; the rest is as in its base.
# 25.4 % of the 500 test scenes, on a U-Net of 1,250 iterations, at T={90,150,300}
# (docs/classification.md).
_base_ = './attention_gd_digit-scenes.py'
model = dict(
    backbone=dict(timestep=(150, 300, 500), blocks=(9, 10, 12)),
    head=dict(
        _delete_=True,
        type='mmdiff.DifFormerHead',
        num_classes=10,
        in_channels=(128, 128, 64),
        feature_sizes=(8, 8, 16),
        num_timesteps=3,
        embed_dims=128,
        num_heads=4,
    ),
)
