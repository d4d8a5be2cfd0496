# DifFeed as the released code trains it (scripts/feedback.sh).
_base_ = [
    '../_base_/models/attention_diffeed.py',
    '../_base_/datasets/in1k_random-crop.py',
    '../_base_/schedules/schedule_in1k_28e-b16.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(backbone=dict(amp_dtype='float16', eval_noise='random'))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=1e-2))
# Each GPU's batch norm in the feedback has statistics of its own, of 4 images.
sync_bn = None
