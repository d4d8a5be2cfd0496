# mask-rcnn_gd_coco.py with lighter heads and neck (not in the paper).
_base_ = [
    './_base_/models/mask-rcnn_gd-light.py',
    './_base_/datasets/coco_instance_lsj.py',
    './_base_/schedules/schedule_10e.py',
    './_base_/default_runtime_det.py',
]
model = dict(data_preprocessor=dict(pad_size_divisor=1024), backbone=dict(with_cp=True))
