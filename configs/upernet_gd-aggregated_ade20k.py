# Four blocks of a frozen U-Net at three timesteps, weighed by a learned gate (not in the paper).
# tools/analysis_tools/gate_weights.py draws what it has learned.
_base_ = './upernet_gd-frozen_ade20k.py'
model = dict(
    # One timestep after another, for the memory of one.
    backbone=dict(timestep=(50, 90, 250), batch_timesteps=False),
    neck=dict(
        _delete_=True,
        type='mmdiff.FeatureAggregator',
        in_channels=(256, 512, 512, 1024),
        in_strides=(2, 4, 8, 16),
        num_timesteps=3,
        out_channels=1024,
        out_strides=(4, 8, 16, 32),
    ),
)
