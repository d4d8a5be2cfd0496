# MAE (ViT-B) of the paper's table 6: 40.8 mIoU on ADE20K. Backbone, neck, width of the head and
# rates are mae_segmentation's (https://github.com/implus/mae_segmentation), whose settings the
# paper takes (appendix 7.3); data, batch size and iterations are those of our U-Net.
_base_ = '../upernet_gd_ade20k.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        # A ViT with MAE's position embedding and, as in mae_segmentation, LayerScale from one and a
        # relative position bias (there from zero, here from a standard deviation of 0.02).
        type='mmpretrain.BEiTViT',
        arch='base',
        img_size=512,
        patch_size=16,
        bias=True,
        use_abs_pos_emb=True,
        use_rel_pos_bias=True,
        layer_scale_init_value=1.0,
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        out_type='featmap',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'mae/mae_vit-base-p16_8xb512-fp16-coslr-1600e_in1k/'
            'mae_vit-base-p16_8xb512-fp16-coslr-1600e_in1k_20220825-f7569ca2.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(
        _delete_=True,
        type='Feature2Pyramid',
        embed_dim=768,
        rescales=[4, 2, 1, 0.5],
        norm_cfg=dict(type='BN'),
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
    auxiliary_head=dict(in_channels=768),
)
# It leaves biases, norms and what else is one-dimensional without weight decay.
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    constructor='LearningRateDecayOptimizerConstructor',
    paramwise_cfg=dict(_delete_=True, decay_type='layer_wise', decay_rate=0.65, num_layers=12),
)
