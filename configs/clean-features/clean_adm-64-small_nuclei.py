# Clean features of the small diffusion model of microscope images of nuclei.
# Error of the features 0.09 after 200 iterations; the default is more.
_base_ = [
    '../_base_/models/clean-features_gd-small.py',
    '../_base_/datasets/nuclei_images.py',
    '../_base_/schedules/schedule_clean-features_1k.py',
    '../_base_/default_runtime_clean-features.py',
]
model = dict(
    denoiser=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/pretrain_adm-64-small_nuclei/unet.pt'
        )
    )
)
val_evaluator = dict(type='mmdiff.FeatureError')
default_hooks = dict(checkpoint=dict(interval=250))
randomness = dict(seed=0)
