# Paper, section 4: 28 epochs of ImageNet-1k with Adam, the rate times 0.1 every 7. Adam's rates are
# ours, as it names none, and those of the released code are SGD's (configs/released).
# Iterations, so that a run that was killed goes on from its last checkpoint, not its last epoch:
# 28 x 1,281,167 images / 128, 32 on each of 4 GPUs.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4))
param_scheduler = [
    dict(type='StepLR', step_size=70064, gamma=0.1, by_epoch=False, begin=0, end=280256)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=280256, val_interval=20019)
val_cfg = dict()
test_cfg = dict()
# For --cfg-options auto_scale_lr.enable=True.
auto_scale_lr = dict(enable=False, base_batch_size=128)
