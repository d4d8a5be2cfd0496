# DifFormer of the paper's table 1.
_base_ = './classifier_gd.py'
model = dict(
    # One timestep after another, as three at once would need 26 GB for 32 images.
    backbone=dict(timestep=(90, 150, 300), blocks=(19, 24, 30), batch_timesteps=False),
    head=dict(
        type='mmdiff.DifFormerHead',
        num_classes=1000,
        in_channels=(1024, 1024, 512),
        feature_sizes=(8, 16, 64),
        num_timesteps=3,
    ),
)
