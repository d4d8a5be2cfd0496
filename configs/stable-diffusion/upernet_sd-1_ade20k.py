# UperNet on Stable Diffusion 1.5, fine-tuned (not in the paper). The U-Net has a tenth of the
# head's rate, as published Stable Diffusion backbones do: the paper's 2e-5 for guided diffusion.
_base_ = [
    '../_base_/models/upernet_sd.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_16k.py',
    '../_base_/default_runtime_seg.py',
]
crop_size = (512, 512)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(with_cp=True),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(341, 341)),
)
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'backbone.unet': dict(lr_mult=0.1)}),
)
