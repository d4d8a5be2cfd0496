# GD of the paper's table 5, fine-tuned on 1 % of ImageNet's labels: 46.7 % top-1.
_base_ = [
    '../_base_/models/linear_gd.py',
    '../_base_/datasets/in1k-1pct.py',
    '../_base_/schedules/schedule_28e-finetune.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(backbone=dict(frozen='none'))
train_dataloader = dict(batch_size=4)
