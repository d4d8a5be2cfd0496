# Figure 5 (a), MAE: all 12 layers of the ViT-B, for tools/cache_features.py --pool 7 --dtype
# float16 (2 GB) and tools/analysis_tools/cka.py beside cka-blocks_gd_in50.py (docs/analysis.md).
_base_ = '../imagenet-50/attention_mae-vit-b_in50.py'
model = dict(backbone=dict(out_indices=tuple(range(12))), head=None)
train_dataloader = dict(dataset=dict(split='val', pipeline={{_base_.test_pipeline}}))
