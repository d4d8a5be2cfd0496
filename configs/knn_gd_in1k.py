# Table 9: for tools/cache_features.py --pool 1 and tools/knn.py, which need no head.
_base_ = './linear_gd_in1k.py'
model = dict(
    backbone=dict(timestep=(10, 30, 50, 90, 150, 300, 500), blocks=(19, 24), batch_timesteps=False),
    head=None,
)
train_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
