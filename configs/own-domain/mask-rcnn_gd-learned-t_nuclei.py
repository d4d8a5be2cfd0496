# A learned timestep on clean images; the rest is as in its base.
# 24.0 mask AP on the val images after 150 iterations (docs/choosing_t_and_b.md).
_base_ = './mask-rcnn_gd-frozen_nuclei.py'
model = dict(
    backbone=dict(timestep='learned', initial_timestep=150, noise='clean', eval_noise='clean')
)
# A decayed weight would be pulled towards the embedding of no timestep.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.learned_timestep': dict(decay_mult=0.0)})
)
