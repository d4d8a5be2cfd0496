# A linear probe of SwAV's ResNet-50: its last map, pooled to 1x1.
_base_ = './linear_simclr-r50.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'swav/swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96/'
            'swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96_20220825-5b3fc7fc.pth',
        )
    )
)
