# Low-rank adapters of the small U-Net, beside the head that its base trains on frozen features.
_base_ = './attention_gd_digit-scenes.py'
model = dict(backbone=dict(lora=dict(rank=8)))
