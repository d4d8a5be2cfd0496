# DifFormer of the paper's table 5, fine-tuned on 1 % of ImageNet's labels: 51.8 % top-1.
_base_ = [
    '../_base_/models/difformer_gd.py',
    '../_base_/datasets/in1k-1pct.py',
    '../_base_/schedules/schedule_28e-finetune.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(backbone=dict(frozen='none', with_cp=True))
train_dataloader = dict(batch_size=4)
