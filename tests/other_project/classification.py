_base_ = ['mmdiff::_base_/../attention_gd_digit-scenes.py']
# Two iterations on the project's own data, and a validation.
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(logger=dict(interval=1))
loader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root='scenes/classification')
)
train_dataloader = dict(batch_size=2, **loader)
val_dataloader = loader
test_dataloader = loader
