# SimCLR of the paper's table 6: 39.9 mIoU on ADE20K, a figure of DreamTeacher's.
_base_ = './upernet_r50_ade20k.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'simclr/simclr_resnet50_16xb256-coslr-800e_in1k/'
            'simclr_resnet50_16xb256-coslr-800e_in1k_20220825-85fcc4de.pth',
            prefix='backbone.',
        )
    )
)
