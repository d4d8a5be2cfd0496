# The heads and the neck of ViTDet, for 80 classes, on one feature of stride 16: in place of
# MMDetection's Mask R-CNN's, two convolutions in the RPN, four and one fully connected layer for
# boxes, and layer norm in both heads of regions.
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
)
