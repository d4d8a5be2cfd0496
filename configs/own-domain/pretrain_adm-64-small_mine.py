# A small diffusion model of images of one's own, without labels; tools/few_labels.py fills in data.
_base_ = [
    '../_base_/models/denoiser_adm-64-small.py',
    '../_base_/datasets/own_images.py',
    '../_base_/default_runtime_pretrain-3k.py',
]
train_cfg = dict(type='mmdiff.InMemoryTrainLoop', crop_size=64, flip=('horizontal',))
