"""A denoiser for tests of what learns from one."""

import torch

from mmdiff.diffusion import UNet, get_architecture

PREPROCESSOR = dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True)
ARCH = dict(
    image_size=16,
    model_channels=32,
    channel_mult=(1, 1),
    num_res_blocks=1,
    attention_resolutions=(),
)


def save(path):
    """Save one none of whose layers is zero, as a new one's last are."""
    torch.manual_seed(0)
    unet = UNet(get_architecture(ARCH))
    for parameter in unet.parameters():
        if not parameter.any():
            parameter.data.normal_(std=0.05)
    torch.save(unet.state_dict(), path)


def backbone(checkpoint, **changes):
    """The config of a backbone that loads it."""
    return dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch=ARCH,
        timestep=0,
        blocks=(5, 6),
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
        **changes,
    )


def images(n=4, side=16):
    """Images in [-1, 1]."""
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
