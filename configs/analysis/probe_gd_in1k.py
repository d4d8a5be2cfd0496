# Figure 3: for tools/cache_features.py and tools/analysis_tools/probe_grid.py --probe trained
# (docs/paper_tables.md). The whole grid takes 0.9 TB at --pool 2 --dtype float16, as each training
# image is there twice, also mirrored; an axis of it at a time is less.
_base_ = '../linear_gd_in1k.py'
model = dict(
    backbone=dict(
        timestep=(10, 30, 50, 90, 150, 300, 500),
        blocks=(7, 9, 14, 19, 20, 24, 27, 30, 33),
        batch_timesteps=False,
    ),
    head=None,
)
