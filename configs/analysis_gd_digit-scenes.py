# Section 2 on digit scenes: for tools/cache_features.py --pool 4 and what reads its caches
# (docs/analysis.md). The coarser half of the encoder, the middle block (9), and the decoder but for
# its finest level.
_base_ = './attention_gd_digit-scenes.py'
model = dict(
    backbone=dict(
        timestep=(1, 10, 30, 60, 90, 150, 300, 500, 800),
        blocks=(6, 7, 8, 9, 10, 11, 12, 13, 14),
        batch_timesteps=False,
    ),
    head=None,
)
