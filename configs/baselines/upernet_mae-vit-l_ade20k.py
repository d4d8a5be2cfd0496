# MAE (ViT-L) of the paper's table 6: 45.8 mIoU on ADE20K. As ViT-B's, with a head of width 1024 and
# ViTDet's rates for ViT-L on COCO (appendix 7.3). Neither names the blocks: a third, a half, two
# thirds and the end are ViT-B's.
_base_ = './upernet_mae-vit-b_ade20k.py'
model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.4,
        out_indices=(7, 11, 15, 23),
        init_cfg=dict(
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'mae/mae_vit-large-p16_8xb512-fp16-coslr-1600e_in1k/'
            'mae_vit-large-p16_8xb512-fp16-coslr-1600e_in1k_20220825-cc7e98c9.pth',
        ),
    ),
    neck=dict(embed_dim=1024),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024], channels=1024),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(
    optimizer=dict(weight_decay=0.1), paramwise_cfg=dict(decay_rate=0.8, num_layers=24)
)
