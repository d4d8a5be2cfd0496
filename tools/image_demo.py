"""Draw what a trained model sees in images of one's own: segments, boxes and masks, or a class."""

import argparse
from pathlib import Path

from mmdiff.engine.cli import load_config


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images', type=Path, help='an image, or a folder of images')
    parser.add_argument('config', help='config file of a segmentor, detector or classifier')
    parser.add_argument('checkpoint', help='checkpoint file that tools/train.py wrote')
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('demo'),
        help='gets the pictures in vis, and predictions beside it (default: %(default)s)',
    )
    parser.add_argument('--device', help='default: a GPU if there is one')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        help='least score of an instance that is drawn (default: %(default)s)',
    )
    return parser.parse_args()


def segment(args, images):
    from mmseg.apis import MMSegInferencer

    inferencer = MMSegInferencer(args.config, args.checkpoint, device=args.device)
    inferencer(images, out_dir=str(args.out_dir))


def detect(args, images):
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(args.config, args.checkpoint, device=args.device)
    inferencer(images, out_dir=str(args.out_dir), pred_score_thr=args.score_thr, no_save_pred=False)


def classify(args, images):
    from mmpretrain.apis import ImageClassificationInferencer

    inferencer = ImageClassificationInferencer(args.config, args.checkpoint, device=args.device)
    inferencer(images, show_dir=str(args.out_dir / 'vis'))


TASKS = {'mmseg': segment, 'mmdet': detect, 'mmpretrain': classify}


def main():
    args = parse_args()
    scope = load_config(args.config).get('default_scope')
    if scope not in TASKS:
        raise SystemExit(
            f'config: default_scope must be one of {", ".join(TASKS)}, got {scope!r} in '
            f'{args.config}'
        )
    # Not before: it needs what load_config has looked for.
    from mmdiff.apis import list_images

    try:
        images = [str(path) for path in list_images(args.images)]
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    args.out_dir.mkdir(parents=True, exist_ok=True)
    TASKS[scope](args, images)
    print(f'Drew {len(images)} pictures in {args.out_dir / "vis"}')


if __name__ == '__main__':
    main()
