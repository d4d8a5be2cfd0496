# The ResNet-18 of baselines/mask-rcnn_r18_nuclei.py with distilled weights.
_base_ = '../baselines/mask-rcnn_r18_nuclei.py'
model = dict(
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/distill_r18_nuclei/student.pth')
    )
)
