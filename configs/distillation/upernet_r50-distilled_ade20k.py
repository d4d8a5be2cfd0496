# DreamTeacher's row of the paper's table 6 (42.5 mIoU on ADE20K): the supervised ResNet-50's
# settings with distilled weights.
_base_ = '../baselines/upernet_r50_ade20k.py'
model = dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/distill_r50_in1k/student.pth')))
