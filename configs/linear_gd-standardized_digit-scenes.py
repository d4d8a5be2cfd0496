# The linear head on standardised features; the rest is as in its base.
# At t=500, 34.8 and 35.8 % of the test scenes with two seeds; 23.8 and 24.0 % without it
# (docs/classification.md).
_base_ = './linear_gd_digit-scenes.py'
model = dict(head=dict(standardize=True))
