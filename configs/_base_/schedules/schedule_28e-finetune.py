# 28 epochs for the whole network, and what is new in it at ten times the rate. Adam's rates are
# ours: the paper names none, the released code has SGD at 1e-3 (configs/released).
_base_ = './schedule_28e-b16.py'
optim_wrapper = dict(
    optimizer=dict(lr=2e-5),
    paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0), feedback=dict(lr_mult=10.0))),
)
