"""Train a diffusion model on images, without labels, for the backbones to start from.

Besides checkpoints, the work dir gets unet.pt (the averaged weights, in guided-diffusion's format),
and pictures of samples.
"""

from mmdiff.engine import leave_cpu_distributed
from mmdiff.engine.image_training import train_on_images


def main():
    cfg = train_on_images(__doc__)
    print(f'The U-Net: {cfg.work_dir}/unet.pt')
    leave_cpu_distributed()


if __name__ == '__main__':
    main()
