# The supervised ResNet-50 of the paper's figure 8: the same data, heads and 10 epochs, with the
# batch size of 16 that the paper keeps for it (4 on each of 4 GPUs), and the optimizer and the
# steps (8/12 and 11/12 of the way) that go with it. That it sees large-scale jitter too is ours.
_base_ = [
    './_base_/models/mask-rcnn.py',
    './_base_/datasets/coco_instance_lsj.py',
    './_base_/schedules/schedule_10e.py',
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
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(_delete_=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=250),
    dict(
        type='MultiStepLR', gamma=0.1, by_epoch=False, begin=0, end=73290, milestones=[48860, 67180]
    ),
]
train_cfg = dict(max_iters=73290, val_interval=14658)
auto_scale_lr = dict(base_batch_size=16)
