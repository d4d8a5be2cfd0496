# Mask R-CNN on the distilled ResNet-18, with the budget of mask-rcnn_gd-small_nuclei.py. From
# random weights: --cfg-options model.backbone.init_cfg=None.
_base_ = '../mask-rcnn_gd-small_nuclei.py'
strides = [4, 8, 16, 32]
roi_extractor = dict(featmap_strides=strides, finest_scale=56)
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], pad_size_divisor=32
    ),
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        out_indices=(0, 1, 2, 3),
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/distill_r18_nuclei/student.pth'),
    ),
    neck=dict(
        _delete_=True, type='FPN', in_channels=[64, 128, 256, 512], out_channels=64, num_outs=5
    ),
    # Anchors from 8 pixels, as on the U-Net, whose strides are half of these.
    rpn_head=dict(anchor_generator=dict(scales=[2], strides=[*strides, 64])),
    roi_head=dict(bbox_roi_extractor=roi_extractor, mask_roi_extractor=roi_extractor),
)
