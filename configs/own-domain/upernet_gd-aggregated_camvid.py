# Three timesteps and four blocks, weighed by a learned gate
# (tools/analysis_tools/gate_weights.py); the rest is as in its base.
# 31.4 mIoU on the val images after 150 iterations (docs/choosing_t_and_b.md).
_base_ = './upernet_gd-frozen_camvid.py'
model = dict(
    backbone=dict(timestep=(50, 300, 500)),
    neck=dict(
        _delete_=True,
        type='mmdiff.FeatureAggregator',
        in_channels=(32, 64, 128, 128),
        in_strides=(2, 4, 8, 8),
        num_timesteps=3,
        out_channels=64,
        out_strides=(2, 4, 8, 16),
    ),
)
