# DifFeed on Oxford 102 Flowers (paper, figure 7).
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/flowers.py',
    '../_base_/schedules/schedule_28e-b16.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=102))
train_dataloader = dict(batch_size=4)
