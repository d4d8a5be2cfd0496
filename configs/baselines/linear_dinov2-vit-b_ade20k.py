# A frozen DINOv2 ViT-B/14 with DINOv2's linear head, batch norm and one 1x1 convolution, at its
# rates, for the iterations and the batch size of table 6.
_base_ = './upernet_dinov2-vit-b_ade20k.py'
model = dict(
    backbone=dict(out_indices=(11,)),
    neck=dict(_delete_=True, type='mmdiff.FeatureNorm', in_channels=(768,)),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=768,
        in_index=0,
        channels=768,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=150,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=None,
)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=1e-4))
