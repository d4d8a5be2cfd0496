# SwAV beside SimCLR of table 16, B={1,2,3,4}.
_base_ = './attention_swav-r50_in50.py'
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
