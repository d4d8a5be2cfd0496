# Mask R-CNN on clean features, frozen; all else as in mask-rcnn_gd-small_nuclei.py.
# 15.7 mask AP after 150 iterations, of features that were learned in 200
# (docs/choosing_t_and_b.md).
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
