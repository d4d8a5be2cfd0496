# Paper, appendix 7.2: 10 epochs at a total batch size of 4, one image on each of 4 GPUs. Optimizer,
# weight decay (of all but norms), warm-up over 16,000 images and the steps (at 88.9 and 96.3 of 100
# epochs) are ViTDet's. Its rate falls from layer to layer in a ViT alone.
# The paper searched for the learning rate and does not say what it found: this is its rate for
# ADE20K.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mmdiff.FusedAdamW', lr=2e-5, betas=(0.9, 0.999), weight_decay=0.1),
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
# Iterations, so that a run that was killed goes on from its last checkpoint, not its last epoch:
# 10 x 117,266 images with instances / 4.
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=4000),
    dict(
        type='MultiStepLR',
        gamma=0.1,
        by_epoch=False,
        begin=0,
        end=293160,
        milestones=[260600, 282300],
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=293160, val_interval=58632)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# The paper's total batch size, for --cfg-options auto_scale_lr.enable=True.
auto_scale_lr = dict(enable=False, base_batch_size=4)
