# The ablations' 15 epochs (paper, table 2).
_base_ = './schedule_28e.py'
param_scheduler = [dict(type='StepLR', step_size=7, gamma=0.1, by_epoch=True, begin=0, end=15)]
train_cfg = dict(max_epochs=15, val_interval=5)
