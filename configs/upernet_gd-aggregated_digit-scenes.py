# All timesteps and blocks of its base, weighed by a learned gate
# (tools/analysis_tools/gate_weights.py); the rest is as in its base.
# 22.1 mIoU on the 500 test scenes after 250 iterations (docs/choosing_t_and_b.md).
_base_ = './upernet_gd_digit-scenes.py'
model = dict(
    neck=dict(
        _delete_=True,
        type='mmdiff.FeatureAggregator',
        in_channels=(32, 64, 128, 128),
        in_strides=(2, 4, 8, 8),
        num_timesteps=3,
        out_channels=64,
        out_strides=(2, 4, 8, 16),
    )
)
