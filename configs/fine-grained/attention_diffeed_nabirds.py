# DifFeed on NABirds (paper, figure 7).
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/nabirds.py',
    '../_base_/schedules/schedule_28e-b16.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=555))
train_dataloader = dict(batch_size=4)
