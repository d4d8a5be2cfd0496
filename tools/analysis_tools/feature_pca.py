"""An image noised to several timesteps, and the features of blocks as colours (paper, figure 2).

The colours are the first three principal components of a block's features, over all timesteps; of
a latent diffusion model, the noised latents are shown in the same way.
"""

import argparse

import mmcv
import numpy as np
import torch
from mmengine.device import get_device

from mmdiff.datasets import read_rgb
from mmdiff.models import backbone_of
from mmdiff.visualization import draw_feature_sheet, pca_rgb


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('arch', help='name of the architecture of any family, e.g. adm-64-small')
    parser.add_argument('checkpoint', help="path or URL of the weights, or 'random'")
    parser.add_argument('image', help='image file, cropped to a square and resized')
    parser.add_argument('out', help='PNG file to write')
    parser.add_argument('--timesteps', type=int, nargs='+', default=[1, 50, 100, 200, 300, 500])
    parser.add_argument('--blocks', type=int, nargs='+', required=True)
    parser.add_argument('--vae', help='autoencoder of a diffusion transformer, a file or folder')
    args = parser.parse_args()
    if args.vae and args.checkpoint == 'random':
        parser.error('--vae: with random weights, the autoencoder is random too')
    return args


def load_square(path: str, size: int) -> np.ndarray:
    """The largest square in the middle of an image, RGB, shape (size, size, 3)."""
    image = np.asarray(read_rgb(path))
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return mmcv.imresize(image[top : top + side, left : left + side], (size, size))


@torch.no_grad()
def main():
    args = parse_args()
    init_cfg = None
    if args.checkpoint != 'random':
        init_cfg = dict(type='Pretrained', checkpoint=args.checkpoint)
        if args.vae:
            init_cfg['vae'] = args.vae
    torch.manual_seed(0)
    backbone = backbone_of(args.arch)(
        args.arch, timestep=args.timesteps, blocks=args.blocks, init_cfg=init_cfg
    )
    backbone.init_weights()
    backbone = backbone.to(get_device()).eval()
    image = load_square(args.image, backbone.arch.image_size)
    images = torch.from_numpy(image / 127.5 - 1).float().permute(2, 0, 1)[None].to(get_device())
    x_0 = backbone.encode(images)
    noised = [backbone.noised(x_0, t)[0].cpu() for t in args.timesteps]
    if backbone.arch.input.space == 'pixels':
        rows = [[((x + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy() for x in noised]]
    else:
        rows = [pca_rgb(noised)]
    for maps in zip(*backbone(images), strict=True):
        rows.append(pca_rgb([feature[0] for feature in maps]))
    titles = [f't={t}' for t in args.timesteps]
    draw_feature_sheet(
        args.out, rows, titles, row_titles=['input', *map('b={}'.format, args.blocks)]
    )
    print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
