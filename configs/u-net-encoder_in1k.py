# U-Net Encoder of the paper's table 1: 64.3 % top-1 on ImageNet-1k. OpenAI's classifier of noised
# images, whole: tools/test.py scores it without training. Training it would train the head.
_base_ = [
    './_base_/models/classifier_gd.py',
    './_base_/datasets/in1k.py',
    './_base_/schedules/schedule_in1k_28e.py',
    './_base_/default_runtime_cls.py',
]
arch = 'adm-256-classifier'
checkpoint = 'https://openaipublic.blob.core.windows.net/diffusion/jul-2021/256x256_classifier.pt'
model = dict(
    backbone=dict(
        type='mmdiff.GuidedDiffusionEncoderBackbone',
        arch=arch,
        # The paper does not name it: almost no noise.
        timestep=0,
        blocks=(19,),
        init_cfg=dict(checkpoint=checkpoint),
    ),
    head=dict(
        type='mmdiff.GuidedDiffusionClassifierHead',
        num_classes=1000,
        arch=arch,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
    ),
)
