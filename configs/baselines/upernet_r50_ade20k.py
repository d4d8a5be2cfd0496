# The supervised ResNet-50 of the paper's table 6: 40.9 mIoU on ADE20K, a figure of DreamTeacher's,
# whose settings are not published. Here they are those of MMSegmentation's UperNet on ResNet-50,
# with its batch size of 16 (4 on each of 4 GPUs), for the table's 16k iterations.
_base_ = '../upernet_gd_ade20k.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=None,
    decode_head=dict(in_channels=[256, 512, 1024, 2048], channels=512),
    auxiliary_head=dict(in_channels=1024),
)
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(_delete_=True),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=0, end=16000)]
auto_scale_lr = dict(base_batch_size=16)
