# MAE ViT-L of the paper's figure 8, with ViTDet's rates for it. MMPretrain's ViT has neither the
# windows nor the relative positions of ViTDet's: each of the 24 blocks sees the whole image.
_base_ = '../mask-rcnn_gd_coco.py'
depth = 24
decay = 0.8
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='large',
        img_size=1024,
        patch_size=16,
        drop_path_rate=0.4,
        out_indices=(depth - 1,),
        out_type='featmap',
        final_norm=False,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmselfsup/1.x/'
            'mae/mae_vit-large-p16_8xb512-fp16-coslr-1600e_in1k/'
            'mae_vit-large-p16_8xb512-fp16-coslr-1600e_in1k_20220825-cc7e98c9.pth',
            prefix='backbone.',
        ),
    ),
)
# Each block's rate is 0.8 times the next one's. Norms have no weight decay.
first = dict(lr_mult=decay ** (depth + 1))
layers = {
    f'backbone.layers.{i}.{part}': dict(lr_mult=decay ** (depth - i), decay_mult=decay_mult)
    for i in range(depth)
    for part, decay_mult in (('', 1.0), ('ln1', 0.0), ('ln2', 0.0))
}
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(
        bias_decay_mult=1.0,
        custom_keys={
            'backbone.patch_embed': first,
            'backbone.cls_token': first,
            'backbone.pos_embed': dict(decay_mult=0.0, **first),
            **layers,
        },
    ),
)
