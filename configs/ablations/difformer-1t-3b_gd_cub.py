# Table 3, T={150}, B={19,24,30}: 48.8 % top-1 on CUB.
_base_ = './difformer-3t-3b_gd_cub.py'
model = dict(backbone=dict(timestep=150), head=dict(num_timesteps=1))
