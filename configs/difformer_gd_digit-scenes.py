# DifFormer: three blocks (the middle one, and one of each of two decoder levels) at three
# timesteps; the rest is as in its base.
_base_ = './attention_gd_digit-scenes.py'
model = dict(
    backbone=dict(timestep=(10, 50, 100), blocks=(9, 12, 14)),
    head=dict(
        _delete_=True,
        type='mmdiff.DifFormerHead',
        num_classes=10,
        in_channels=(128, 64, 32),
        feature_sizes=(8, 16, 32),
        num_timesteps=3,
        embed_dims=128,
        num_heads=4,
    ),
)
