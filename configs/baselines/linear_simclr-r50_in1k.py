# SimCLR of the paper's table 1, where 69.3 % top-1 on ImageNet-1k is quoted from SimCLR: 1000
# epochs, and SimCLR's own probe. Here the probe is ours, and the weights are of 800 epochs.
_base_ = [
    '../_base_/models/linear_simclr-r50.py',
    '../_base_/datasets/in1k_224.py',
    '../_base_/schedules/schedule_in1k_28e.py',
    '../_base_/default_runtime_cls.py',
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
