# The paper's supervised ResNet-50 with distilled weights.
_base_ = '../mask-rcnn_r50_coco.py'
model = dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/distill_r50_in1k/student.pth')))
