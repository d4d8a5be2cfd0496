# Mask R-CNN on the frozen features of a small diffusion model of the same images without labels:
# python tools/pretrain.py configs/pretrain_adm-64-small_nuclei.py
# 27.0 mask AP on the val images after 150 iterations (docs/choosing_t_and_b.md).
_base_ = '../mask-rcnn_gd-small_nuclei.py'
model = dict(
    backbone=dict(
        timestep=50,
        noise='fixed',
        frozen='all',
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/pretrain_adm-64-small_nuclei/unet.pt',
        ),
    )
)
