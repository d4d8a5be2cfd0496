# Mask R-CNN on Stable Diffusion 1.5, fine-tuned (not in the paper). The U-Net has a tenth of the
# heads' rate, as published Stable Diffusion backbones do: the rate of mask-rcnn_gd_coco.py.
_base_ = [
    '../_base_/models/mask-rcnn_gd.py',
    '../_base_/datasets/coco_instance_lsj.py',
    '../_base_/schedules/schedule_10e.py',
    '../_base_/default_runtime_det.py',
]
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),
    backbone=dict(
        _delete_=True,
        type='mmdiff.StableDiffusionBackbone',
        arch='sd-1',
        timestep=75,
        blocks=(22, 19, 16, 13),
        with_cp=True,
        init_cfg=dict(
            type='Pretrained',
            # Downloaded from the Hugging Face hub; or a folder, or the original single file.
            checkpoint='hf://stable-diffusion-v1-5/stable-diffusion-v1-5',
        ),
    ),
    neck=dict(
        _delete_=True,
        type='mmdiff.FeatureAdapter',
        in_channels=(640, 1280, 1280, 1280),
        in_strides=(8, 16, 32, 64),
        out_channels=256,
        level_convs=True,
        norm_cfg={{_base_.norm_cfg}},
        pooled_level=True,
    ),
)
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'backbone.unet': dict(lr_mult=0.1)}),
)
