# upernet_gd_ade20k.py for as long as others train on ADE20K: 160k iterations of 16 crops, 127
# epochs, where the paper has 16k of 2, 1.6 epochs, "due to resource constraints". Not in the paper,
# and not measured. The rate is MAE's for this batch; a square-root rule would make 5.7e-5 of the
# paper's, a linear one 1.6e-4.
_base_ = [
    './_base_/models/upernet_gd.py',
    './_base_/datasets/ade20k.py',
    './_base_/schedules/schedule_160k.py',
    './_base_/default_runtime_seg.py',
]
crop_size = (512, 512)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(with_cp=True),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(341, 341)),
)
# On each of 4 GPUs.
train_dataloader = dict(batch_size=4)
