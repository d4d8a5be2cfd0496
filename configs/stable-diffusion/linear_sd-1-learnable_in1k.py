# Table 11, learnable text, b=18, 512: 65.18 % top-1 on ImageNet-1k.
# Gradients reach the tokens through the frozen U-Net, so that its activations are kept: 8 images on
# each of 4 GPUs, and four times the iterations.
_base_ = './linear_sd-1_in1k.py'
model = dict(backbone=dict(text='learnable', with_cp=True))
train_dataloader = dict(batch_size=8)
param_scheduler = [
    dict(type='StepLR', step_size=280256, gamma=0.1, by_epoch=False, begin=0, end=600547)
]
train_cfg = dict(max_iters=600547, val_interval=120110)
auto_scale_lr = dict(base_batch_size=32)
