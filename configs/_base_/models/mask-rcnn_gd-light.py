# mask-rcnn_gd.py with the heads of MMDetection's Mask R-CNN, and without transposed convolutions:
# one feature resized to all levels, and a 3x3 convolution with group norm on each.
_base_ = './mask-rcnn_gd.py'
model = dict(
    neck=dict(
        _delete_=True,
        type='mmdiff.FeatureAdapter',
        in_channels=(1024,),
        in_strides=(16,),
        out_channels=256,
        out_strides=(4, 8, 16, 32),
        level_convs=True,
        norm_cfg=dict(type='GN', num_groups=32),
        pooled_level=True,
    ),
    rpn_head=dict(num_convs=1),
    roi_head=dict(
        bbox_head=dict(type='Shared2FCBBoxHead', norm_cfg=None), mask_head=dict(norm_cfg=None)
    ),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=True))),
)
