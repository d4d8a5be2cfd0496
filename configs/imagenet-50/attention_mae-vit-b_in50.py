# Table 16, MAE, B={12}: 93.6 % top-1 on ImageNet-50.
_base_ = [
    '../_base_/models/attention_vit-b.py',
    '../_base_/datasets/in50_224.py',
    '../_base_/schedules/schedule_28e.py',
    '../_base_/default_runtime_cls-epochs.py',
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'mae/mae_vit-base-p16_8xb512-fp16-coslr-1600e_in1k/'
            'mae_vit-base-p16_8xb512-fp16-coslr-1600e_in1k_20220825-f7569ca2.pth',
            prefix='backbone.',
        )
    ),
    # The paper's count of parameters has no layer norm over positions here.
    head=dict(num_classes=50, norm=False),
)
