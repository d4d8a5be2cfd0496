# UperNet on SiT-XL/2, trained at 256 px, fine-tuned (not in the paper). Its position embedding is
# computed for the larger images. Its authors publish the file by a link that does not name it: put
# SiT-XL-2-256x256.pt where checkpoint says.
_base_ = './upernet_dit-xl-2_ade20k.py'
model = dict(
    backbone=dict(arch='sit-xl-2', init_cfg=dict(checkpoint='checkpoints/SiT-XL-2-256x256.pt'))
)
