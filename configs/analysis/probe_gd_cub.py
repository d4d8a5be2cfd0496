# Figure 4: as probe_gd_in1k.py, on CUB-200-2011. With --pool 4 --dtype float16 it takes 24 GB.
_base_ = '../fine-grained/linear_gd_cub.py'
model = dict(
    backbone=dict(
        timestep=(10, 30, 50, 90, 150, 300, 500),
        blocks=(7, 9, 14, 19, 20, 24, 27, 30, 33),
        batch_timesteps=False,
    ),
    head=None,
)
