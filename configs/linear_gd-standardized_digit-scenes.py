# The linear head on standardised features; the rest is as in its base.
_base_ = './linear_gd_digit-scenes.py'
model = dict(head=dict(standardize=True))
