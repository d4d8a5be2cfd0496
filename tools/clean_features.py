"""Train a copy of a diffusion model to have, on clean images, the features of noised ones.

Without labels, and without a timestep to choose afterwards. Besides checkpoints, the work dir gets
unet.pt (the averaged weights, in the format of the model's family), and pictures of features.
"""

from mmdiff.engine import leave_cpu_distributed
from mmdiff.engine.image_training import train_on_images


def main():
    cfg = train_on_images(__doc__)
    print(f'The U-Net: {cfg.work_dir}/unet.pt')
    leave_cpu_distributed()


if __name__ == '__main__':
    main()
