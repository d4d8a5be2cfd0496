# Its features of noised scenes, in the cache beside which docs/analysis.md has the U-Net's.
_base_ = '../analysis_gd_digit-scenes.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.NoisedInputBackbone',
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=16,
            out_indices=(0, 1, 2, 3),
            frozen_stages=4,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='work_dirs/r18_digit-scenes/iter_1000.pth',
                prefix='backbone.',
            ),
        ),
        timestep=(1, 10, 30, 60, 90, 150, 300, 500, 800),
    )
)
