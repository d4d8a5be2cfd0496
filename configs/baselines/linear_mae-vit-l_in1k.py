# MAE of the paper's table 1, where 73.5 % top-1 on ImageNet-1k is quoted from MAE: ViT-L after 800
# epochs, and MAE's own probe. Here the probe is ours, on what MAE takes: the class token, after a
# batch norm.
_base_ = [
    '../_base_/models/attention_vit-b.py',
    '../_base_/datasets/in1k_224.py',
    '../_base_/schedules/schedule_in1k_28e.py',
    '../_base_/default_runtime_cls.py',
]
model = dict(
    backbone=dict(
        arch='large',
        out_indices=(23,),
        out_type='cls_token',
        frozen_stages=24,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'mae/mae_vit-large-p16_8xb512-fp16-coslr-800e_in1k/'
            'mae_vit-large-p16_8xb512-fp16-coslr-800e_in1k_20220825-df72726a.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(type='ClsBatchNormNeck', input_features=1024),
    head=dict(_delete_=True, type='LinearClsHead', num_classes=1000, in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
