# Nuclei with the U-Net of a diffusion model of the same images without labels:
# python tools/pretrain.py configs/pretrain_adm-64-small_nuclei.py
# 37.9 mask AP after 200 iterations (docs/baselines.md).
_base_ = '../mask-rcnn_gd-small_nuclei.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/pretrain_adm-64-small_nuclei/unet.pt',
        )
    )
)
