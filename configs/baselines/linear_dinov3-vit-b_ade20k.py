# A frozen DINOv3 ViT-B/16 (pip install timm) with DINOv2's linear head. The last block's output is
# not normalised by the transformer's last norm, which timm leaves out.
_base_ = './linear_dinov2-vit-b_ade20k.py'
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        _delete_=True,
        # A branch alone: it freezes what has no setting for it.
        type='mmdiff.FusedBackbone',
        branches=[
            dict(
                backbone=dict(
                    type='mmpretrain.TIMMBackbone',
                    model_name='vit_base_patch16_dinov3.lvd1689m',
                    features_only=True,
                    pretrained=True,
                    out_indices=(11,),
                ),
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                # Pads what is no multiple of a patch.
                scale=(16, 16),
                frozen=True,
            )
        ],
    ),
)
