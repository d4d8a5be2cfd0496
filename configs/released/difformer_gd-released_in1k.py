# DifFormer as the released code trains it (scripts/fusion.sh).
_base_ = [
    '../_base_/models/difformer_gd.py',
    '../_base_/datasets/in1k_random-crop.py',
    '../_base_/schedules/schedule_in1k_28e.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(backbone=dict(amp_dtype='float16', eval_noise='random'))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=5e-2))
