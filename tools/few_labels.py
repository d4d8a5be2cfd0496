"""From a folder of images and label maps of a few of them to a segmentor.

Trains a small diffusion model on all images, without labels, or takes one that is there. Then, with
the labelled ones, UperNet on its frozen features, UperNet and the diffusion model together
(fine-tuned), and for comparison the same network from random weights. Some of the labelled images
are held out, to score all three. Whatever was done already is not done again, and what was killed
goes on.

OUT gets a config, a log and a work dir of each training, scores.csv, and sheet.png: images, their
label maps, and the predictions. The configs are what to go on with.
"""

import argparse
import csv
import random
import subprocess
import sys
from pathlib import Path

from matplotlib import colormaps

from mmdiff.datasets import is_image_file
from mmdiff.datasets.image_files import list_images
from mmdiff.utils import read_scalars, validated_steps

ROOT = Path(__file__).resolve().parent.parent
PRETRAIN = """# A diffusion model of the images, without labels.
_base_ = '{root}/configs/own-domain/pretrain_adm-64-small_mine.py'
dataset = dict(data_root='{images}', data_prefix='')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
"""
FROZEN = """# UperNet on the diffusion model's frozen features, with {num_train} labelled images.
_base_ = '{root}/configs/own-domain/upernet_gd-frozen_mine.py'
dataset = dict(
    data_root='',
    data_prefix=dict(img_path='{images}', seg_map_path='{labels}'),
    img_suffix='{suffix}',
    metainfo=dict(_delete_=True, classes={classes}, palette={palette}),
)
train_dataloader = dict(dataset=dict(ann_file='{out}/train.txt', **dataset))
val_dataloader = dict(dataset=dict(ann_file='{out}/val.txt', **dataset))
test_dataloader = val_dataloader
model = dict(
    backbone=dict(init_cfg=dict(checkpoint='{checkpoint}')),
    decode_head=dict(num_classes={num_classes}),
    auxiliary_head=dict(num_classes={num_classes}),
)
"""
FINE_TUNED = """# All weights are trained, from the diffusion model's.
_base_ = './frozen.py'
model = dict(backbone=dict(frozen='none'), neck=dict(standardize=False))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
"""
RANDOM = """# The same network from random weights.
_base_ = './fine-tuned.py'
model = dict(backbone=dict(init_cfg=None))
"""
# What is trained with labels: the pretrained ones, and what they are compared with.
RUNS = {'frozen': FROZEN, 'fine-tuned': FINE_TUNED, 'random': RANDOM}


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', type=Path, help='folder of images')
    parser.add_argument(
        'labels',
        type=Path,
        help='folder of label maps of some of them: PNG files of the same names, in which each '
        'pixel has the number of its class, from 0, or 255 where it has none',
    )
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('--classes', nargs='+', required=True, help='names of classes 0, 1, ...')
    parser.add_argument(
        '--checkpoint',
        help="a diffusion model of the architecture adm-64-small, such as another run's "
        'pretrain/unet.pt, in place of training one',
    )
    parser.add_argument(
        '--held-out',
        type=int,
        metavar='N',
        help='labelled images to score with (default: a third)',
    )
    parser.add_argument(
        '--pretrain-iters',
        type=int,
        default=3000,
        metavar='N',
        help='iterations of 32 crops (default: %(default)s, half an hour on two CPU cores)',
    )
    parser.add_argument(
        '--iters',
        type=int,
        default=300,
        metavar='N',
        help='iterations of 4 labelled crops (default: %(default)s)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of what is held out (default: %(default)s)'
    )
    return parser.parse_args()


def labelled(images: Path, labels: Path) -> tuple[list[str], str]:
    """The names of the images that have a label map, without the suffix, and the suffix.

    Raises:
        SystemExit: If there are fewer than two, a label map is of no image, or
            the images have several suffixes.
    """
    try:
        by_name = {path.stem: path for path in list_images(images)}
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    if not labels.is_dir():
        raise SystemExit(f'labels: there is no folder {labels}')
    maps = sorted(path for path in labels.iterdir() if is_image_file(path.name))
    for path in maps:
        if path.suffix != '.png':
            raise SystemExit(f'labels: {path} must be a PNG file: others lose labels')
        if path.stem not in by_name:
            raise SystemExit(f'labels: {path} is of no image in {images}')
    if len(maps) < 2:
        raise SystemExit(
            f'labels: {labels} has {len(maps)} label maps, but one to train with and one to score '
            'with are the least'
        )
    suffixes = sorted({by_name[path.stem].suffix for path in maps})
    if len(suffixes) > 1:
        raise SystemExit(
            f'images: those with label maps end with {" and ".join(suffixes)}: give them one suffix'
        )
    return [path.stem for path in maps], suffixes[0]


def split(names: list[str], held_out: int | None, seed: int) -> tuple[list[str], list[str]]:
    """What to train and to score with."""
    held_out = max(1, round(len(names) / 3)) if held_out is None else held_out
    if not 0 < held_out < len(names):
        raise SystemExit(
            f'--held-out must be from 1 to {len(names) - 1}, as {len(names)} images are labelled; '
            f'got {held_out}'
        )
    drawn = random.Random(seed).sample(names, len(names))
    return sorted(drawn[held_out:]), sorted(drawn[:held_out])


def local_checkpoint(checkpoint: str | None) -> str | None:
    """A checkpoint, which is found from any folder if it is a file."""
    if checkpoint is None or '://' in checkpoint:
        return checkpoint
    file = Path(checkpoint).expanduser().resolve()
    if not file.is_file():
        raise SystemExit(f'--checkpoint: there is no file {file}')
    return str(file)


def write(path: Path, text: str) -> None:
    """Write a file, or see that it says so already.

    Raises:
        SystemExit: If it is there and says something else.
    """
    if path.exists() and path.read_text() != text:
        raise SystemExit(
            f'{path} is of other settings: name another folder, or remove {path.parent}'
        )
    path.write_text(text)


def train(tool: str, out: Path, name: str, iterations: int, every: int) -> None:
    """Run a training, unless it is at its end, which is its last validation."""
    if iterations in validated_steps(out / name):
        return
    warm_up = max(1, iterations // 10)
    command = [
        sys.executable, str(ROOT / 'tools' / tool), f'{out}/{name}.py',
        '--work-dir', f'{out}/{name}', '--resume', '--cfg-options',
        f'train_cfg.max_iters={iterations}', f'train_cfg.val_interval={every}',
        f'param_scheduler.0.end={warm_up}', f'param_scheduler.1.begin={warm_up}',
        f'param_scheduler.1.end={iterations}',
    ]  # fmt: skip
    print('$', *command, flush=True)
    # The progress bar is on stderr.
    with (out / f'{name}.log').open('a') as log:
        if subprocess.run(command, stdout=log).returncode:
            raise SystemExit(f'It failed: see {out}/{name}.log. The same command goes on.')


def draw(sheet: Path, model: tuple[Path, Path], baseline: tuple[Path, Path]) -> None:
    """Draw predictions of two models, unless the sheet is newer than both."""
    if sheet.exists() and sheet.stat().st_mtime > max(
        checkpoint.stat().st_mtime for _, checkpoint in (model, baseline)
    ):
        return
    command = [
        sys.executable, ROOT / 'tools/analysis_tools/feature_sheet.py', *model, sheet,
        '--beside', 'from random weights', *baseline,
    ]  # fmt: skip
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def main():
    args = parse_args()
    images, labels, out = (
        path.expanduser().resolve() for path in (args.images, args.labels, args.out)
    )
    names, suffix = labelled(images, labels)
    lists = dict(zip(('train', 'val'), split(names, args.held_out, args.seed), strict=True))
    checkpoint = local_checkpoint(args.checkpoint) or f'{out}/pretrain/unet.pt'
    out.mkdir(parents=True, exist_ok=True)
    for name, chosen in lists.items():
        write(out / f'{name}.txt', '\n'.join(chosen) + '\n')
    colours = colormaps['tab20'].colors
    settings = dict(
        root=ROOT,
        images=images,
        labels=labels,
        out=out,
        suffix=suffix,
        num_train=len(lists['train']),
        classes=args.classes,
        num_classes=len(args.classes),
        palette=[
            [round(255 * value) for value in colours[n % len(colours)]]
            for n in range(len(args.classes))
        ],
        checkpoint=checkpoint,
    )
    for name, text in {'pretrain': PRETRAIN, **RUNS}.items():
        write(out / f'{name}.py', text.format(**settings))

    if args.checkpoint is None:
        train('pretrain.py', out, 'pretrain', args.pretrain_iters, min(500, args.pretrain_iters))
    scores, models = {}, {}
    for name in RUNS:
        train('train.py', out, name, args.iters, args.iters)
        scores[name] = read_scalars(out / name)['mIoU'][args.iters]
        models[name] = (out / f'{name}.py', out / name / f'iter_{args.iters}.pth')
    with (out / 'scores.csv').open('w', newline='') as file:
        csv.writer(file).writerows([('run', 'mIoU'), *scores.items()])
    best = max(('frozen', 'fine-tuned'), key=scores.get)
    draw(out / 'sheet.png', models[best], models['random'])
    print(
        f'mIoU on {len(lists["val"])} images, trained with {len(lists["train"])}:\n'
        f'    {scores["frozen"]:5.1f} %  pretrained, frozen\n'
        f'    {scores["fine-tuned"]:5.1f} %  pretrained, fine-tuned\n'
        f'    {scores["random"]:5.1f} %  the same network from random weights\n'
        f'Pretraining is worth {scores[best] - scores["random"]:+.1f} points ({best}).\n'
        f'Pictures: {out}/sheet.png\n'
        f'To predict: python tools/image_demo.py {args.images} {" ".join(map(str, models[best]))}'
    )


if __name__ == '__main__':
    main()
