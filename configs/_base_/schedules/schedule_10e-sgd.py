# MMDetection's schedule_1x.py, from 12 to 10 epochs: SGD at 0.02 for a total batch size of 16 (4
# images on each of 4 GPUs), 500 iterations of warm-up, and steps at 8/12 and 11/12 of the way.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4)
)
# Iterations, as in schedule_10e.py: 10 x 117,266 images with instances / 16.
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR', gamma=0.1, by_epoch=False, begin=0, end=73290, milestones=[48860, 67180]
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=73290, val_interval=14658)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)
