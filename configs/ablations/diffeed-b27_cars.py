# Table 15, b=27: 73.3 % top-1 on Stanford Cars.
_base_ = './diffeed-b24_cars.py'
model = dict(backbone=dict(blocks=(27,)), head=dict(in_channels=512, feature_size=32))
