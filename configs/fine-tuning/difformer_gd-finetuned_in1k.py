# DifFormer on ImageNet-1k (paper, section 8.2), fine-tuned.
_base_ = [
    '../_base_/models/difformer_gd.py',
    '../_base_/datasets/in1k.py',
    '../_base_/schedules/schedule_in1k_28e-finetune.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(backbone=dict(frozen='none', with_cp=True))
train_dataloader = dict(batch_size=4)
