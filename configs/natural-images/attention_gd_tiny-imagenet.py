# The Attention head; the rest is as in its base.
_base_ = './linear_gd_tiny-imagenet.py'
model = dict(
    head=dict(
        _delete_=True,
        type='mmdiff.AttentionHead',
        num_classes=100,
        in_channels=384,
        feature_size=16,
        embed_dims=512,
    )
)
# The best on CIFAR-10.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
