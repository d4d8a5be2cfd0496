# The MLP head; the rest is as in its base.
# 23.4 and 21.4 % of the 500 test scenes at t=500, two seeds (docs/classification.md).
_base_ = './attention_gd_digit-scenes.py'
model = dict(
    head=dict(
        _delete_=True,
        type='mmdiff.MLPHead',
        num_classes=10,
        in_channels=64,
        pool_size=4,
        hidden_channels=(256,),
    )
)
