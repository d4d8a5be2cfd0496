# Table 15, b=21: 68.3 % top-1 on Stanford Cars.
_base_ = './diffeed-b24_cars.py'
model = dict(backbone=dict(blocks=(21,)), head=dict(in_channels=1024, feature_size=8))
