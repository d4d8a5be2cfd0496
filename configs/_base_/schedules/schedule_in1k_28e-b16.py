# schedule_in1k_28e.py at 4 images on each of 4 GPUs, as the authors' code has it for DifFeed: a
# graph through the U-Net leaves room for 4 where 32 fit without.
_base_ = './schedule_in1k_28e.py'
param_scheduler = [
    dict(type='StepLR', step_size=560511, gamma=0.1, by_epoch=False, begin=0, end=2242044)
]
train_cfg = dict(max_iters=2242044, val_interval=160146)
auto_scale_lr = dict(base_batch_size=16)
