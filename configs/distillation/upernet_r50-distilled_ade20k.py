# UperNet on the distilled ResNet-50, with the data and the iterations of upernet_gd_ade20k.py; the
# rate is ours. From random weights: --cfg-options model.backbone.init_cfg=None.
_base_ = [
    '../_base_/models/upernet_r50.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/schedule_16k.py',
    '../_base_/default_runtime_seg.py',
]
crop_size = (512, 512)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/distill_r50_in1k/student.pth')
    ),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(341, 341)),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
