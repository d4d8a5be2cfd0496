# GD of the paper's table 1: a linear probe of the map pooled to 2x2.
_base_ = './classifier_gd.py'
model = dict(head=dict(type='mmdiff.LinearHead', num_classes=1000, in_channels=1024, pool_size=2))
