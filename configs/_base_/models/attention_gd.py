# Attention of the paper's table 1.
_base_ = './classifier_gd.py'
model = dict(
    head=dict(type='mmdiff.AttentionHead', num_classes=1000, in_channels=1024, feature_size=16)
)
