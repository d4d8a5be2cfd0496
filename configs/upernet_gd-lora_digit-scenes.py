# Low-rank adapters of the small U-Net, beside the head that its base trains on frozen features.
_base_ = './upernet_gd_digit-scenes.py'
model = dict(backbone=dict(noise='random', lora=dict(rank=8)))
