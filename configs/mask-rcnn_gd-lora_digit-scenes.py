# Low-rank adapters of a U-Net that was trained to denoise digit scenes; the rest is as in its base.
_base_ = './mask-rcnn_gd_digit-scenes.py'
model = dict(
    backbone=dict(
        lora=dict(rank=8),
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='mmdiff://adm-64-small_digit-scenes.pt'
        ),
    )
)
