# Table 16, SimCLR, B={4}: 93.6 % top-1 on ImageNet-50.
_base_ = [
    '../_base_/models/attention_r50.py',
    '../_base_/datasets/in50_224.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'simclr/simclr_resnet50_16xb256-coslr-200e_in1k/'
            'simclr_resnet50_16xb256-coslr-200e_in1k_20220825-4d9cce50.pth',
            prefix='backbone.',
        )
    ),
    head=dict(num_classes=50),
)
