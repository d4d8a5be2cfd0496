# Three timesteps and four blocks, weighed by a learned gate
# (tools/analysis_tools/gate_weights.py); the rest is as in its base.
# 22.1 mask AP on the val images after 150 iterations (docs/choosing_t_and_b.md).
_base_ = './mask-rcnn_gd-frozen_nuclei.py'
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
        level_convs=True,
        level_norm_cfg=dict(type='GN', num_groups=32),
        pooled_level=True,
    ),
)
