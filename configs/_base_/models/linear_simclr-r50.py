# A linear probe of SimCLR's ResNet-50: its last map, pooled to 1x1.
_base_ = './attention_r50.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'simclr/simclr_resnet50_16xb256-coslr-800e_in1k/'
            'simclr_resnet50_16xb256-coslr-800e_in1k_20220825-85fcc4de.pth',
            prefix='backbone.',
        )
    ),
    head=dict(
        _delete_=True, type='mmdiff.LinearHead', num_classes=1000, in_channels=2048, pool_size=1
    ),
)
