# The paper's ADE20K setting on another data set: what changes is the data and its classes.
_base_ = [
    './_base_/models/upernet_gd.py',
    './_base_/datasets/camvid.py',
    './_base_/schedules/schedule_16k.py',
    './_base_/default_runtime_seg.py',
]
model = dict(
    data_preprocessor=dict(size=(320, 320)),
    backbone=dict(with_cp=True),
    decode_head=dict(num_classes=11),
    auxiliary_head=dict(num_classes=11),
)
auto_scale_lr = dict(base_batch_size=4)
