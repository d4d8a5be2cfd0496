"""Draw what a trained model sees in images of one's own: segments, boxes and masks, or a class."""

import argparse
import json
from collections import Counter
from importlib import import_module
from pathlib import Path

from mmdiff.engine.cli import add_cfg_options, check_checkpoint, load_config, open_checkpoint


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


def segment(inferencer, images, args):
    inferencer(images, out_dir=str(args.out_dir), pred_out_dir='preds')
    # It counts the label maps, but names the pictures.
    for number, image in enumerate(images):
        labels = args.out_dir / 'preds' / f'{number:08d}_pred.png'
        labels.replace(labels.with_name(f'{Path(image).stem}.png'))


def detect(inferencer, images, args):
    inferencer(images, out_dir=str(args.out_dir), pred_score_thr=args.score_thr, no_save_pred=False)


def classify(inferencer, images, args):
    # Large enough for the text on it.
    predictions = inferencer(images, show_dir=str(args.out_dir / 'vis'), resize=480)
    for image, prediction in zip(images, predictions, strict=True):
        path = args.out_dir / 'preds' / f'{Path(image).stem}.json'
        path.write_text(
            json.dumps(prediction | dict(pred_scores=prediction['pred_scores'].tolist()))
        )


TASKS = {
    'mmseg': ('MMSegInferencer', segment),
    'mmdet': ('DetInferencer', detect),
    'mmpretrain': ('ImageClassificationInferencer', classify),
}


def list_inputs(folder):
    # Not before: it needs what load_config has looked for.
    from mmdiff.apis import list_images

    try:
        images = list_images(folder)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    name, count = Counter(image.stem for image in images).most_common(1)[0]
    if count > 1:
        raise SystemExit(
            f'{folder} has {count} images named {name}, and predictions are named as the images: '
            'rename them, or draw them one by one'
        )
    return [str(image) for image in images]


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    scope = cfg.get('default_scope')
    if scope not in TASKS:
        raise SystemExit(
            f'config: default_scope must be one of {", ".join(TASKS)}, got {scope!r} in '
            f'{args.config}'
        )
    images = list_inputs(args.images)
    checkpoint, state_dict = open_checkpoint(args.checkpoint)
    inferencer_name, draw = TASKS[scope]
    inferencer_class = getattr(import_module(f'{scope}.apis'), inferencer_name)
    inferencer = inferencer_class(cfg, checkpoint, device=args.device)
    check_checkpoint(inferencer.model, state_dict, checkpoint)
    (args.out_dir / 'preds').mkdir(parents=True, exist_ok=True)
    draw(inferencer, images, args)
    print(
        f'Drew {len(images)} pictures in {args.out_dir / "vis"}, predictions are in '
        f'{args.out_dir / "preds"}'
    )


if __name__ == '__main__':
    main()
