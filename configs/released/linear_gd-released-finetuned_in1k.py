# GD as the released code fine-tunes it: one rate for all ("1e-3 for finetune" in finetune.py).
# There is no script for it: batch size and epochs are those of scripts/feedback.sh.
_base_ = [
    '../_base_/models/linear_gd.py',
    '../_base_/datasets/in1k_random-crop.py',
    '../_base_/schedules/schedule_in1k_28e-b16.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(backbone=dict(frozen='none', amp_dtype='float16', eval_noise='random'))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=1e-3))
