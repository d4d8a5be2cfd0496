"""Draw images from a diffusion model, as one picture.

Takes what tools/pretrain.py wrote (unet.pt), or any published guided-diffusion checkpoint without
classes, such as 256x256_diffusion_uncond.pt.
"""

import argparse

import torch
from mmengine.device import get_device

from mmdiff.diffusion import UNet, load_weights, read_checkpoint
from mmdiff.diffusion.adm import get_architecture
from mmdiff.utils import local_file


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('arch', help='name of the architecture, e.g. adm-64-small')
    parser.add_argument('checkpoint', help='path or URL of the state dict')
    parser.add_argument('out', help='PNG file to write')
    parser.add_argument('--num', type=int, default=16, help='images (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=16, help='default: %(default)s')
    parser.add_argument(
        '--steps', type=int, default=50, help='a divisor of 1000 (default: %(default)s)'
    )
    parser.add_argument(
        '--sampler',
        choices=['ddim', 'ddpm'],
        default='ddim',
        help='ddpm is ancestral, and wants more steps (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    args = parser.parse_args()
    for name in ('num', 'batch_size'):
        if getattr(args, name) < 1:
            parser.error(
                f'--{name.replace("_", "-")} must be at least 1, got {getattr(args, name)}'
            )
    return args


def main():
    args = parse_args()
    from mmdiff.diffusion.sampling import sample
    from mmdiff.visualization import draw_image_grid

    unet = UNet(get_architecture(args.arch))
    if unet.arch.num_classes is not None:
        raise SystemExit(f'arch: {args.arch} is class-conditional, which sampling does not do')
    load_weights(unet, read_checkpoint(local_file(args.checkpoint)), args.checkpoint)
    unet = unet.to(get_device()).eval()
    generator = torch.Generator('cpu').manual_seed(args.seed)
    images = [
        sample(unet, min(args.batch_size, args.num - done), args.steps, args.sampler, generator)
        for done in range(0, args.num, args.batch_size)
    ]
    draw_image_grid(args.out, torch.cat(images).cpu())
    print(f'Wrote {args.num} images to {args.out}')


if __name__ == '__main__':
    main()
