# The Attention head; the rest is as in its base.
# 62.5 % of the held-out images, mean of three seeds, in three minutes on one core
# (docs/natural_images.md).
_base_ = './linear_gd_cifar10.py'
model = dict(
    head=dict(
        _delete_=True,
        type='mmdiff.AttentionHead',
        num_classes=10,
        in_channels=128,
        feature_size=8,
        embed_dims=128,
        num_heads=4,
    )
)
# The best of comparisons/heads_cifar10.yml.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
