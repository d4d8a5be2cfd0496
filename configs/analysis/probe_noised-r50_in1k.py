# Figure 3, ResNet-50: its features of the images that the U-Net sees, at the same timesteps, for
# probe_grid.py --beside (docs/paper_tables.md). That a linear layer is trained on them too, and the
# supervised weights, are ours: the paper names neither.
_base_ = './probe_gd_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdiff.NoisedInputBackbone',
        backbone=dict(
            type='ResNet',
            depth=50,
            frozen_stages=4,
            init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
        ),
        timestep=(10, 30, 50, 90, 150, 300, 500),
    )
)
