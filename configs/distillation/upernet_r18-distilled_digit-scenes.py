# The ResNet-18 of baselines/upernet_r18_digit-scenes.py with distilled weights.
_base_ = '../baselines/upernet_r18_digit-scenes.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/distill_r18_digit-scenes/student.pth'
        )
    )
)
