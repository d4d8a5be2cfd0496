# A linear probe of a diffusion model of 100 classes of Tiny ImageNet.
_base_ = './linear_gd_cifar10.py'
data_root = 'data/tiny-imagenet'
model = dict(
    backbone=dict(
        arch='adm-64-medium',
        # The last residual block at 16x16, as 24 in the paper's model.
        blocks=(18,),
        init_cfg=dict(checkpoint='work_dirs/pretrain_adm-64-medium_tiny-imagenet/unet.pt'),
    ),
    head=dict(num_classes=100, in_channels=384),
)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
