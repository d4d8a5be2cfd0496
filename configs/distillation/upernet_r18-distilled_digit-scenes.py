# UperNet on the distilled ResNet-18, with the budget of upernet_gd_digit-scenes.py. From random
# weights: --cfg-options model.backbone.init_cfg=None.
_base_ = [
    '../_base_/models/upernet_r18-small.py',
    '../_base_/datasets/digit_scenes_seg.py',
    '../_base_/schedules/schedule_16k.py',
    '../_base_/default_runtime_seg.py',
]
class_weight = [0.2, *[1.0] * 10]
init_cfg = dict(type='Normal', std=0.1, override=dict(name='conv_seg'))
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/distill_r18_digit-scenes/student.pth'
        ),
    ),
    decode_head=dict(
        num_classes=11, loss_decode=dict(class_weight=class_weight), init_cfg=init_cfg
    ),
    auxiliary_head=dict(
        num_classes=11, loss_decode=dict(class_weight=class_weight), init_cfg=init_cfg
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=950),
]
auto_scale_lr = dict(base_batch_size=8)
train_cfg = dict(max_iters=950, val_interval=950)
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
