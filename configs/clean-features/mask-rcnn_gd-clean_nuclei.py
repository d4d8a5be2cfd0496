# Mask R-CNN on clean features, frozen; all else as in mask-rcnn_gd-small_nuclei.py.
_base_ = '../mask-rcnn_gd-small_nuclei.py'
model = dict(
    backbone=dict(
        timestep=0,
        noise='clean',
        eval_noise='clean',
        frozen='all',
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/clean_adm-64-small_nuclei/unet.pt',
        ),
    )
)
