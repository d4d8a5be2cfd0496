# Paper, section 8.3 (table 11): 15 epochs; the rest as in schedule_in1k_28e.py.
# 15 x 1,281,167 images / 128, 32 on each of 4 GPUs.
_base_ = './schedule_in1k_28e.py'
param_scheduler = [
    dict(type='StepLR', step_size=70064, gamma=0.1, by_epoch=False, begin=0, end=150137)
]
train_cfg = dict(max_iters=150137, val_interval=30028)
