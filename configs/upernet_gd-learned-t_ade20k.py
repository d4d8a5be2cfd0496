# A learned timestep on clean images, in place of t=90 and its noise (not in the paper): it is
# trained with the neck and the heads, through the frozen U-Net.
_base_ = './upernet_gd-frozen_ade20k.py'
model = dict(
    backbone=dict(
        timestep='learned',
        initial_timestep=90,
        noise='clean',
        eval_noise='clean',
        # Frozen as it is, the U-Net keeps a graph for the timestep.
        with_cp=True,
    )
)
# A decayed weight would be pulled towards the embedding of no timestep.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.learned_timestep': dict(decay_mult=0.0)})
)
