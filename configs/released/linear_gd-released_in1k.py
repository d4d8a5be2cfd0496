# GD as the released code trains it (scripts/linear.sh): SGD without momentum or weight decay,
# random crops, the U-Net in float16, and fresh noise in testing too.
_base_ = [
    '../_base_/models/linear_gd.py',
    '../_base_/datasets/in1k_random-crop.py',
    '../_base_/schedules/schedule_in1k_28e.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(backbone=dict(amp_dtype='float16', eval_noise='random'))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=1e-2))
