# Figure 5 (c): block 24 over the timesteps, for tools/cache_features.py and tools/analysis_tools/
# cka.py (docs/analysis.md).
_base_ = './cka-blocks_gd_in50.py'
model = dict(
    backbone=dict(
        timestep=(1, 10, 30, 50, 90, 150, 300, 500, 700, 900), blocks=(24,), batch_timesteps=False
    )
)
