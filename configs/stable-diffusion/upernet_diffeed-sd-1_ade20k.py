# DifFeed on Stable Diffusion 1.5, bottleneck feedback, fine-tuned (not in the paper).
_base_ = './upernet_sd-1_ade20k.py'
model = dict(
    backbone=dict(
        type='mmdiff.StableDiffusionDifFeedBackbone',
        feedback='bottleneck',
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    )
)
