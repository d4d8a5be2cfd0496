"""Train a small backbone to regress the features of a frozen diffusion model, without labels.

Besides checkpoints, the work dir gets student.pth, a checkpoint of the backbone's own package.
"""

from mmdiff.engine import leave_cpu_distributed
from mmdiff.engine.image_training import train_on_images


def main():
    cfg = train_on_images(__doc__)
    print(f'The student: {cfg.work_dir}/student.pth')
    leave_cpu_distributed()


if __name__ == '__main__':
    main()
