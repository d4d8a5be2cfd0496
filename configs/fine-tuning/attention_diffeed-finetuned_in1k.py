# DifFeed on ImageNet-1k (paper, section 8.2), fine-tuned: gradients through the second pass only.
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/in1k.py',
    '../_base_/schedules/schedule_in1k_28e-finetune.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(backbone=dict(frozen='none'))
train_dataloader = dict(batch_size=4)
