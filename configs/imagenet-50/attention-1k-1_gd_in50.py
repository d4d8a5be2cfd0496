# Table 14, Attention-1K-1: 91.67 % top-1 on ImageNet-50, at t=90 (figure 9).
# As in the authors' code, which gives the paper's counts: 64 tokens, each the mean of 2x2 cells,
# without layer norm or convolution.
_base_ = [
    '../_base_/models/attention_gd.py',
    '../_base_/datasets/in50.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(
    backbone=dict(timestep=90),
    head=dict(num_classes=50, num_layers=1, pool_size=8, norm=False, project=False),
)
