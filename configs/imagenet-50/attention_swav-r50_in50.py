# SwAV beside SimCLR of table 16, B={4}.
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
            'swav/swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96/'
            'swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96_20220825-5b3fc7fc.pth',
            prefix='backbone.',
        )
    ),
    head=dict(num_classes=50),
)
