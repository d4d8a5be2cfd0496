# Table 16, SimCLR, B={1,2,3,4}: 93.6 % top-1 on ImageNet-50.
_base_ = './attention_simclr-r50_in50.py'
model = dict(
    backbone=dict(out_indices=(0, 1, 2, 3)),
    head=dict(
        _delete_=True,
        type='mmdiff.DifFormerHead',
        num_classes=50,
        in_channels=(256, 512, 1024, 2048),
        feature_sizes=(56, 28, 14, 7),
    ),
)
