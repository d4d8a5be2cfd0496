"""Draw images from a diffusion model: as one picture, or as files, for FID (docs/fid.md).

Takes what tools/pretrain.py wrote (unet.pt), or any published guided-diffusion checkpoint without
classes, such as 256x256_diffusion_uncond.pt. Each image has a seed of its own, on which alone it
depends, but for last bits. Drawing to a folder is safe to kill and to run again; several processes
may draw other seeds into the same one.
"""

import argparse
from contextlib import nullcontext
from pathlib import Path

import torch
from mmengine.device import get_device
from tqdm import tqdm

from mmdiff.diffusion import UNet, load_weights, read_checkpoint
from mmdiff.diffusion.adm import get_architecture
from mmdiff.utils import local_file, weights_digest


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('arch', help='name of the architecture, e.g. adm-64-small')
    parser.add_argument('checkpoint', help='path or URL of the state dict')
    parser.add_argument(
        'out', type=Path, help='PNG file of all images, or a folder, for a file SEED.png of each'
    )
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
    parser.add_argument(
        '--amp-dtype',
        choices=['float16', 'bfloat16'],
        help='run the U-Net in mixed precision (default: float32)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of the first image; each further one has the next (default: %(default)s)',
    )
    args = parser.parse_args()
    for name, low in (('num', 1), ('batch_size', 1), ('seed', 0)):
        if getattr(args, name) < low:
            parser.error(
                f'--{name.replace("_", "-")} must be at least {low}, got {getattr(args, name)}'
            )
    if args.out.suffix and args.out.suffix.lower() != '.png':
        parser.error(f'out must be a .png file or a folder, got {args.out}')
    return args


def load_unet(args) -> UNet:
    unet = UNet(get_architecture(args.arch))
    if unet.arch.num_classes is not None:
        raise SystemExit(f'arch: {args.arch} is class-conditional, which sampling does not do')
    load_weights(unet, read_checkpoint(local_file(args.checkpoint)), args.checkpoint)
    return unet.to(get_device()).eval()


def draw(unet: UNet, seeds: list[int], args) -> torch.Tensor:
    from mmdiff.diffusion.sampling import sample

    generators = [torch.Generator('cpu').manual_seed(seed) for seed in seeds]
    precision = nullcontext()
    if args.amp_dtype:
        precision = torch.autocast(get_device(), getattr(torch, args.amp_dtype))
    with precision:
        return sample(unet, len(seeds), args.steps, args.sampler, generators)


def batches(seeds: list[int], size: int) -> list[list[int]]:
    return [seeds[start : start + size] for start in range(0, len(seeds), size)]


def write_picture(unet: UNet, seeds: list[int], args) -> None:
    from mmdiff.visualization import draw_image_grid

    images = [draw(unet, batch, args) for batch in batches(seeds, args.batch_size)]
    draw_image_grid(args.out, torch.cat(images).cpu())


def write_folder(unet: UNet, seeds: list[int], args) -> None:
    from mmdiff.diffusion.sample_folder import SampleFolder

    settings = {name: getattr(args, name) for name in ('arch', 'sampler', 'steps', 'amp_dtype')}
    try:
        folder = SampleFolder(args.out, {**settings, 'weights': weights_digest(unet)})
    except ValueError as error:
        raise SystemExit(f'out: {error}') from None
    missing = folder.missing(seeds)
    with tqdm(total=len(seeds), initial=len(seeds) - len(missing), unit='img') as bar:
        for batch in batches(missing, args.batch_size):
            for seed, image in zip(batch, draw(unet, batch, args), strict=True):
                folder.write(seed, image)
            bar.update(len(batch))


def main():
    args = parse_args()
    unet = load_unet(args)
    seeds = list(range(args.seed, args.seed + args.num))
    write = write_picture if args.out.suffix else write_folder
    write(unet, seeds, args)
    print(f'Wrote {args.num} images to {args.out}')


if __name__ == '__main__':
    main()
