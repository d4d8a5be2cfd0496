# GD (t=75, b=24) of the paper's figure 8.
_base_ = [
    './_base_/models/mask-rcnn_gd.py',
    './_base_/datasets/coco_instance_lsj.py',
    './_base_/schedules/schedule_10e.py',
    './_base_/default_runtime_det.py',
]
# The activations of a 1024x1024 image do not fit into 24 GB (the paper's GPUs) without.
model = dict(backbone=dict(with_cp=True))
