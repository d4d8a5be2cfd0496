# As schedule_in1k_28e.py, for smaller data sets: in epochs, whatever their size and batch.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4))
param_scheduler = [dict(type='StepLR', step_size=7, gamma=0.1, by_epoch=True, begin=0, end=28)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=28, val_interval=7)
val_cfg = dict()
test_cfg = dict()
# For --cfg-options auto_scale_lr.enable=True.
auto_scale_lr = dict(enable=False, base_batch_size=128)
