# A small diffusion model of CamVid's street scenes, without their labels.
_base_ = [
    './_base_/models/denoiser_adm-64-small.py',
    './_base_/datasets/camvid_images.py',
    './_base_/default_runtime_pretrain-3k.py',
]
