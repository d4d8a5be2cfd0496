# The Attention head on a frozen ViT-B/16, for the paper's table 16.
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
    backbone=dict(
        type='VisionTransformer',
        arch='base',
        img_size=224,
        patch_size=16,
        out_indices=(11,),
        out_type='featmap',
        frozen_stages=12,
    ),
    head=dict(type='mmdiff.AttentionHead', num_classes=1000, in_channels=768, feature_size=14),
)
