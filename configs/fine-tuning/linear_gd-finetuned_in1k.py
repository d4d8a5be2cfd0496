# GD (L) of the paper's table 10: 73.5 % top-1 on ImageNet-1k, fine-tuned.
_base_ = [
    '../_base_/models/linear_gd.py',
    '../_base_/datasets/in1k.py',
    '../_base_/schedules/schedule_in1k_28e-finetune.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(backbone=dict(frozen='none'))
train_dataloader = dict(batch_size=4)
