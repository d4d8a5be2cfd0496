# The CNN head; the rest is as in its base.
# 27.4 and 31.4 % of the 500 test scenes at t=500, two seeds (docs/classification.md).
_base_ = './attention_gd_digit-scenes.py'
model = dict(
    head=dict(
        _delete_=True, type='mmdiff.CNNHead', num_classes=10, in_channels=64, channels=(128, 128)
    )
)
