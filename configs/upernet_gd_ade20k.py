# GD (t=90, B={33, 30, 27, 24}) of the paper's table 6: 44.3 mIoU on ADE20K.
# The paper's total is 2 crops an iteration, 1.6 epochs: one GPU with this batch size, or two GPUs
# with half of it (docs/segmentation.md).
_base_ = [
    './_base_/models/upernet_gd.py',
    './_base_/datasets/ade20k.py',
    './_base_/schedules/schedule_16k.py',
    './_base_/default_runtime_seg.py',
]
crop_size = (512, 512)
model = dict(
    data_preprocessor=dict(size=crop_size),
    # The activations of two 512x512 crops do not fit into 24 GB (the paper's GPUs) without.
    backbone=dict(with_cp=True),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(341, 341)),
)
