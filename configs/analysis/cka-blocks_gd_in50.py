# Figure 5 (a) and (b): all 37 blocks at t=90, for tools/cache_features.py --pool 8 --dtype float16
# (7 GB) and tools/analysis_tools/cka.py (docs/analysis.md). Pooled to the smallest map's 8x8: the
# whole maps of the finest blocks would take 64 MB an image and block.
_base_ = '../imagenet-50/linear-4k_gd_in50.py'
model = dict(backbone=dict(timestep=90, blocks=tuple(range(1, 38))), head=None)
# The 2,500 images of the test set are all that is compared, so they stand for the training set.
train_dataloader = dict(dataset=dict(split='val', pipeline={{_base_.test_pipeline}}))
