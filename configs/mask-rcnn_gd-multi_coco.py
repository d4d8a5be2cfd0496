# Four blocks, one for each level, as for UperNet (not in the paper).
_base_ = './mask-rcnn_gd_coco.py'
model = dict(
    backbone=dict(blocks=(33, 30, 27, 24)),
    neck=dict(
        _delete_=True,
        type='mmdiff.FeatureAdapter',
        in_channels=(256, 512, 512, 1024),
        in_strides=(2, 4, 8, 16),
        out_channels=256,
        level_convs=True,
        norm_cfg={{_base_.norm_cfg}},
        pooled_level=True,
    ),
)
