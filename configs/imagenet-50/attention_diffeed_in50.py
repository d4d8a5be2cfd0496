# Table 16, DifFeed: 94.9 % top-1 on ImageNet-50.
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/in50.py',
    '../_base_/schedules/schedule_28e-b16.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=50))
train_dataloader = dict(batch_size=4)
