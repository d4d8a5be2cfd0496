# SwAV of the paper's table 1, where 75.3 % top-1 on ImageNet-1k is quoted from SwAV: 800 epochs,
# and SwAV's own probe. Here the probe is ours, and the weights are of 200 epochs.
_base_ = [
    '../_base_/models/linear_swav-r50.py',
    '../_base_/datasets/in1k_224.py',
    '../_base_/schedules/schedule_in1k_28e.py',
    '../_base_/default_runtime_cls.py',
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
