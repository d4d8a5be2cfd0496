# GD (t=75, b=24) of the paper's figure 8, in ViTDet's settings.
_base_ = [
    './_base_/models/mask-rcnn_gd.py',
    './_base_/datasets/coco_instance_lsj.py',
    './_base_/schedules/schedule_10e.py',
    './_base_/default_runtime_det.py',
]
model = dict(
    # All images to 1024x1024, in training and testing.
    data_preprocessor=dict(pad_size_divisor=1024),
    # The activations of a 1024x1024 image do not fit into 24 GB (the paper's GPUs) without.
    backbone=dict(with_cp=True),
)
