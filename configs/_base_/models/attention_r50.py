# The Attention head on a frozen ResNet-50, for the paper's table 16.
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
    backbone=dict(type='ResNet', depth=50, out_indices=(3,), frozen_stages=4),
    head=dict(type='mmdiff.AttentionHead', num_classes=1000, in_channels=2048, feature_size=7),
)
