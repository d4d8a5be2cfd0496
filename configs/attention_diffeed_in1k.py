# DifFeed of the paper's table 1: 77.0 % top-1 on ImageNet-1k.
_base_ = [
    './_base_/models/attention_diffeed.py',
    './_base_/datasets/in1k.py',
    './_base_/schedules/schedule_in1k_28e-b16.py',
    './_base_/default_runtime_cls.py',
]
train_dataloader = dict(batch_size=4)
