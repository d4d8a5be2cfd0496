# A small diffusion model of CamVid's street scenes, without their labels.
# Error of the predicted noise 0.0284, after an hour on one busy core of an AMD EPYC; 0.0274 after
# 6,000 iterations (docs/few_labels.md).
_base_ = [
    './_base_/models/denoiser_adm-64-small.py',
    './_base_/datasets/camvid_images.py',
    './_base_/default_runtime_pretrain-3k.py',
]
