"""Draw what a trained model sees in images of one's own: segments, boxes and masks, or a class."""

import argparse
import json
from pathlib import Path

from mmdiff.engine.cli import add_cfg_options, check_checkpoint, load_config
from mmdiff.utils import local_file


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images', type=Path, help='an image, or a folder of images')
    parser.add_argument('config', help='config file of a segmentor, detector or classifier')
    parser.add_argument('checkpoint', help='checkpoint file that tools/train.py wrote')
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('demo'),
        help='gets the pictures in vis and the predictions in preds (default: %(default)s)',
    )
    parser.add_argument('--device', help='default: a GPU if there is one')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        help='least score of an instance that is drawn (default: %(default)s)',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def segment(args, cfg, images):
    from mmseg.apis import MMSegInferencer

    inferencer = MMSegInferencer(cfg, args.checkpoint, device=args.device)
    inferencer(images, out_dir=str(args.out_dir))
    # It counts the label maps, but names the pictures.
    for number, image in enumerate(images):
        labels = args.out_dir / 'pred' / f'{number:08d}_pred.png'
        labels.replace(args.out_dir / 'preds' / f'{Path(image).stem}.png')
    (args.out_dir / 'pred').rmdir()


def detect(args, cfg, images):
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(cfg, args.checkpoint, device=args.device)
    inferencer(images, out_dir=str(args.out_dir), pred_score_thr=args.score_thr, no_save_pred=False)


def classify(args, cfg, images):
    from mmpretrain.apis import ImageClassificationInferencer

    inferencer = ImageClassificationInferencer(cfg, args.checkpoint, device=args.device)
    # Large enough for the text on it.
    predictions = inferencer(images, show_dir=str(args.out_dir / 'vis'), resize=480)
    for image, prediction in zip(images, predictions, strict=True):
        path = args.out_dir / 'preds' / f'{Path(image).stem}.json'
        path.write_text(
            json.dumps(prediction | dict(pred_scores=prediction['pred_scores'].tolist()))
        )


TASKS = {'mmseg': segment, 'mmdet': detect, 'mmpretrain': classify}


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    scope = cfg.get('default_scope')
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
    args.checkpoint = local_file(args.checkpoint)
    check_checkpoint(cfg, args.checkpoint)
    (args.out_dir / 'preds').mkdir(parents=True, exist_ok=True)
    TASKS[scope](args, cfg, images)
    print(
        f'Drew {len(images)} pictures in {args.out_dir / "vis"}, predictions are in '
        f'{args.out_dir / "preds"}'
    )


if __name__ == '__main__':
    main()
