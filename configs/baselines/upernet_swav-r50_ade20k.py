# SwAV of the paper's table 6: 41.2 mIoU on ADE20K, a figure of DreamTeacher's.
_base_ = './upernet_r50_ade20k.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'swav/swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96/'
            'swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96_20220825-5b3fc7fc.pth',
            prefix='backbone.',
        )
    )
)
