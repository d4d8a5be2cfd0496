# Attention of the paper's table 1: 74.6 % top-1 on ImageNet-1k.
_base_ = './linear_gd_in1k.py'
model = dict(
    head=dict(
        _delete_=True,
        type='mmdiff.AttentionHead',
        num_classes=1000,
        in_channels=1024,
        feature_size=16,
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
