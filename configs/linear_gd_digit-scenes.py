# The linear head; the rest is as in its base.
_base_ = './attention_gd_digit-scenes.py'
model = dict(
    head=dict(_delete_=True, type='mmdiff.LinearHead', num_classes=10, in_channels=64, pool_size=4)
)
