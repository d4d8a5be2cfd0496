# Clean features of the small diffusion model of digit scenes.
# Error of the features 0.10 after 200 iterations; the default is more.
_base_ = [
    '../_base_/models/clean-features_gd-small.py',
    '../_base_/datasets/digit_scenes_images.py',
    '../_base_/schedules/schedule_clean-features_1k.py',
    '../_base_/default_runtime_clean-features.py',
]
model = dict(
    denoiser=dict(
        init_cfg=dict(type='Pretrained', checkpoint='mmdiff://adm-64-small_digit-scenes.pt')
    )
)
val_evaluator = dict(type='mmdiff.FeatureError')
default_hooks = dict(checkpoint=dict(interval=250))
randomness = dict(seed=0)
