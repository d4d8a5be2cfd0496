# Table 15, b=24: 82.7 % top-1 on Stanford Cars.
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/cars.py',
    '../_base_/schedules/schedule_15e-b16.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(head=dict(num_classes=196))
train_dataloader = dict(batch_size=4)
