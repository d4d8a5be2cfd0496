# Table 16, MAE, B={9,10,11,12}: 94.1 % top-1 on ImageNet-50.
_base_ = './attention_mae-vit-b_in50.py'
model = dict(
    backbone=dict(out_indices=(8, 9, 10, 11)),
    head=dict(
        _delete_=True,
        type='mmdiff.DifFormerHead',
        num_classes=50,
        in_channels=(768, 768, 768, 768),
        feature_sizes=(14, 14, 14, 14),
        norm=False,
    ),
)
