# Section 2 on ImageNet-50: for tools/cache_features.py --pool 2 --dtype float16 (30 GB) and what
# reads its caches (docs/analysis.md).
_base_ = './imagenet-50/linear-4k_gd_in50.py'
model = dict(
    backbone=dict(
        timestep=(10, 30, 50, 90, 150, 300, 500),
        blocks=(7, 9, 14, 19, 20, 24, 27, 30, 33),
        batch_timesteps=False,
    ),
    head=None,
)
train_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
