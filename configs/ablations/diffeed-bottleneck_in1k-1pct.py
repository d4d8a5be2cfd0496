# Table 4, bottleneck: 51.5 % top-1 on 1 % of ImageNet.
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/in1k-1pct.py',
    '../_base_/schedules/schedule_15e-b16.py',
    '../_base_/default_runtime_cls-epochs.py',
]
train_dataloader = dict(batch_size=4)
