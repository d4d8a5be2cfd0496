# Table 3, T={150}, B={19,24,30}: 43.2 % top-1 on 1 % of ImageNet.
_base_ = './difformer-3t-3b_gd_in1k-1pct.py'
model = dict(backbone=dict(timestep=150), head=dict(num_timesteps=1))
