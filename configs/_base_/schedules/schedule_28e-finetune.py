# 28 epochs for the whole network. The rates are ours: the paper names none, the authors' code has
# SGD at 1e-3.
_base_ = './schedule_28e.py'
optim_wrapper = dict(
    optimizer=dict(lr=2e-5), paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0)))
)
auto_scale_lr = dict(base_batch_size=16)
