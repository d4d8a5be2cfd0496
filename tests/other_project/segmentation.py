_base_ = ['mmdiff::_base_/../upernet_gd_digit-scenes.py']
# Two iterations on the project's own data, and a validation.
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(logger=dict(interval=1))
loader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root='scenes'))
train_dataloader = dict(batch_size=2, **loader)
val_dataloader = loader
test_dataloader = loader
# Another head in its place.
model = dict(
    auxiliary_head=None,
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        in_index=0,
        channels=16,
        num_convs=1,
        num_classes=11,
        loss_decode=dict(type='CrossEntropyLoss'),
    ),
)
