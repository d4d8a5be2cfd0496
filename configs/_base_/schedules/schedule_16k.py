# Paper, table 6 and appendix 7.3: 16k iterations of 2 crops at lr 2e-5; the rest as in
# mae_segmentation, MAE's UperNet, whose settings the paper takes.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mmdiff.FusedAdamW', lr=2e-5, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    # From the start, so that the warm-up multiplies it, as in mae_segmentation.
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=0, end=16000),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=16000, val_interval=4000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# The paper's total batch size, for --cfg-options auto_scale_lr.enable=True.
auto_scale_lr = dict(enable=False, base_batch_size=2)
