# A timestep for each block of a frozen U-Net (not in the paper): less noise for finer maps.
_base_ = './upernet_gd-frozen_ade20k.py'
model = dict(backbone=dict(timestep={'_delete_': True, 33: 50, 30: 90, 27: 150, 24: 250}))
