# UperNet on the frozen features of a small diffusion model of CamVid's images without labels:
# python tools/pretrain.py configs/pretrain_adm-64-small_camvid.py
# 33.6 mIoU on the val images after 150 iterations (docs/choosing_t_and_b.md).
_base_ = '../upernet_gd-small_camvid.py'
model = dict(
    backbone=dict(
        timestep=50,
        noise='fixed',
        frozen='all',
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/pretrain_adm-64-small_camvid/unet.pt',
        ),
    )
)
randomness = dict(seed=0)
