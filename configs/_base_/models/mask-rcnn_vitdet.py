# The heads and the neck of ViTDet, for 80 classes, on one feature of stride 16. MMDetection's Mask
# R-CNN has one convolution in the RPN, not two; two fully connected layers for boxes, not four
# convolutions and one; no layer norm; and boxes of low quality may match.
# A backbone, and the neck's in_channels, come from the config that inherits this.
_base_ = './mask-rcnn.py'
norm_cfg = dict(type='mmpretrain.LN2d', eps=1e-6)
model = dict(
    neck=dict(type='mmdiff.SimpleFeaturePyramid', out_channels=256, norm_cfg=norm_cfg),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=False))),
)
