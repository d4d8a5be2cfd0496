# A U-Net and a Mask R-CNN that train on a CPU in minutes, for small images.
_base_ = './mask-rcnn_gd-light.py'
# Half the strides of the large one, as what is to be found is small.
strides = [2, 4, 8, 16]
roi_extractor = dict(out_channels=64, featmap_strides=strides, finest_scale=28)
model = dict(
    data_preprocessor=dict(pad_size_divisor=8),
    # Blocks as in the small UperNet.
    backbone=dict(arch='adm-64-small', timestep=10, blocks=(14, 12, 10, 9), init_cfg=None),
    neck=dict(
        in_channels=(32, 64, 128, 128),
        in_strides=(2, 4, 8, 8),
        out_channels=64,
        out_strides=strides,
    ),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(strides=[*strides, 32])),
    roi_head=dict(
        bbox_roi_extractor=roi_extractor,
        bbox_head=dict(in_channels=64, fc_out_channels=256),
        mask_roi_extractor=roi_extractor,
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=32)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)
