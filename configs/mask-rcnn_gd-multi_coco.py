# Four blocks, one for each level, as for UperNet (not in the paper).
_base_ = './mask-rcnn_gd_coco.py'
model = dict(
    backbone=dict(blocks=(33, 30, 27, 24)),
    neck=dict(in_channels=(256, 512, 512, 1024), in_strides=(2, 4, 8, 16)),
)
