# schedule_28e-finetune.py for ImageNet-1k, in iterations.
_base_ = './schedule_in1k_28e-b16.py'
optim_wrapper = dict(
    optimizer=dict(lr=2e-5),
    paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0), feedback=dict(lr_mult=10.0))),
)
