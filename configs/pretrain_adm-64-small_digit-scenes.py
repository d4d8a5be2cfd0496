# A small diffusion model of digit scenes, which comes with mmdiff (mmdiff/checkpoints). Error of
# the predicted noise 0.0273, after 43 minutes on two cores of an AMD EPYC.
_base_ = [
    './_base_/models/denoiser_adm-64-small.py',
    './_base_/datasets/digit_scenes_images.py',
    './_base_/default_runtime_pretrain-3k.py',
]
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=200, end=4000),
]
train_cfg = dict(max_iters=4000)
