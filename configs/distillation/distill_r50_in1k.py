# DreamTeacher's ResNet-50 (its row in the paper's table 6 is 42.5 mIoU on ADE20K), from the 256x256
# model on ImageNet's images without their labels: 64 images on each of 4 GPUs, 100 epochs.
# Rate and augmentation are ours.
_base_ = [
    '../_base_/datasets/in1k.py',
    '../_base_/schedules/schedule_distill_2k.py',
    '../_base_/default_runtime_distillation.py',
]
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdiff'),
    dict(type='RandomResizedCrop', scale=256, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
model = dict(
    type='mmdiff.FeatureDistillation',
    # [-1, 1] RGB, for the teacher; the student's images are normalised as ImageNet's.
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True
    ),
    teacher=dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-256-uncond',
        timestep=90,
        blocks=(33, 30, 27, 24),
        amp_dtype='bfloat16',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://openaipublic.blob.core.windows.net/diffusion/jul-2021/'
            '256x256_diffusion_uncond.pt',
        ),
    ),
    student=dict(type='ResNet', depth=50, out_indices=(0, 1, 2, 3), style='pytorch'),
    student_channels=(256, 512, 1024, 2048),
    student_strides=(4, 8, 16, 32),
)
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=64)
test_dataloader = None
test_evaluator = None
val_evaluator = dict(_delete_=True, type='mmdiff.FeatureError')
# 100 x 1,281,167 images / 256.
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=5000),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=5000, end=500460),
]
train_cfg = dict(max_iters=500460, val_interval=25000)
default_hooks = dict(checkpoint=dict(interval=2500))
