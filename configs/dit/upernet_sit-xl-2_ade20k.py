# UperNet on SiT-XL/2, trained at 256 px, fine-tuned (not in the paper). Its position embedding is
# computed for the larger images.
_base_ = './upernet_dit-xl-2_ade20k.py'
model = dict(
    backbone=dict(
        arch='sit-xl-2',
        init_cfg=dict(
            checkpoint='https://huggingface.co/nyu-visionx/SiT-collections/resolve/main/'
            'SiT-XL-2-256.pt'
        ),
    )
)
