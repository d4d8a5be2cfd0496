# Low-rank adapters of the frozen U-Net; the rest is as in its base.
_base_ = './upernet_gd-frozen_camvid.py'
model = dict(backbone=dict(noise='random', lora=dict(rank=8)))
