# A diffusion model of 100 classes of Tiny ImageNet, for one large GPU and 20 to 30 minutes. That is
# computed, not measured: 35 GMAC for the forward of an image make 0.22 EFLOP in all.
_base_ = './pretrain_adm-32-small_cifar10.py'
data_root = 'data/tiny-imagenet'
model = dict(arch='adm-64-medium')
train_dataloader = dict(
    batch_size=256, num_workers=12, persistent_workers=False, dataset=dict(data_root=data_root)
)
val_dataloader = dict(num_workers=4, dataset=dict(data_root=data_root))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=200, end=4000),
]
# 0.6 GB of the GPU's memory.
train_cfg = dict(max_iters=4000, crop_size=64)
# Of the whole training step; it takes minutes.
compile = True
