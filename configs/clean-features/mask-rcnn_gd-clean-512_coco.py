# Mask R-CNN on clean features of the 256x256 model, frozen; all else as in
# mask-rcnn_gd-frozen-512_coco.py.
_base_ = '../mask-rcnn_gd-frozen-512_coco.py'
model = dict(
    backbone=dict(
        timestep=0,
        noise='clean',
        eval_noise='clean',
        init_cfg=dict(checkpoint='work_dirs/clean_adm-256_in1k/unet.pt'),
    )
)
