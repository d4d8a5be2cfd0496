# DifFeed on Stanford Dogs (paper, figure 7).
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/dogs.py',
    '../_base_/schedules/schedule_28e-b16.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=120))
train_dataloader = dict(batch_size=4)
