# DifFeed on a frozen U-Net (not in the paper): the feedback layers, neck and heads are trained.
_base_ = './upernet_gd-frozen_ade20k.py'
model = dict(
    backbone=dict(
        type='mmdiff.DifFeedBackbone',
        feedback='bottleneck',
        # Frozen as it is, the second pass keeps a graph for the feedback layers.
        with_cp=True,
    )
)
