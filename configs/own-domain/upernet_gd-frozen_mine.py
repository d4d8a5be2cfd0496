# UperNet on the frozen features of a small diffusion model of images of one's own, with few labels;
# tools/few_labels.py fills in data. On CamVid in its own sizes, these settings reach 36.7 mIoU with
# 10 labels (docs/few_labels.md).
_base_ = [
    '../_base_/models/upernet_gd-small.py',
    '../_base_/datasets/own_seg.py',
    '../_base_/schedules/schedule_16k.py',
    '../_base_/default_runtime_seg.py',
]
# At the packages' std of 0.01, the classes look alike for so long that a short run learns none.
init_cfg = dict(type='Normal', std=0.1, override=dict(name='conv_seg'))
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        timestep=50,
        noise='fixed',
        frozen='all',
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/pretrain_adm-64-small_mine/unet.pt',
        ),
    ),
    neck=dict(standardize=True),
    decode_head=dict(num_classes=2, init_cfg=init_cfg),
    auxiliary_head=dict(num_classes=2, init_cfg=init_cfg),
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=300),
]
train_cfg = dict(max_iters=300, val_interval=300)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(checkpoint=dict(interval=100))
randomness = dict(seed=0)
