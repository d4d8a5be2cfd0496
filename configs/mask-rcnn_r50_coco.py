# The supervised ResNet-50 of the paper's figure 8: MMDetection's mask-rcnn_r50_fpn_1x_coco.py, from
# 12 to the paper's 10 epochs, with the original batch size of 16, as the paper has it.
_base_ = [
    './_base_/models/mask-rcnn.py',
    './_base_/datasets/coco_instance.py',
    './_base_/schedules/schedule_10e-sgd.py',
    './_base_/default_runtime_det.py',
]
model = dict(
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5),
)
train_dataloader = dict(batch_size=4, batch_sampler=dict(type='AspectRatioBatchSampler'))
