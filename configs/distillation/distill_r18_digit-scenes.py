# A ResNet-18 from the small diffusion model of digit scenes.
# Error of the features 0.32 after 250 iterations of 16 images; the default is more.
_base_ = [
    '../_base_/models/distill_gd-small.py',
    '../_base_/datasets/digit_scenes_images.py',
    '../_base_/schedules/schedule_distill_2k.py',
    '../_base_/default_runtime_distillation.py',
]
model = dict(
    teacher=dict(
        init_cfg=dict(type='Pretrained', checkpoint='mmdiff://adm-64-small_digit-scenes.pt')
    )
)
val_evaluator = dict(type='mmdiff.FeatureError')
default_hooks = dict(checkpoint=dict(interval=250))
randomness = dict(seed=0)
